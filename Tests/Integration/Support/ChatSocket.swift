// A WebSocket client for tests: sends whatever it is told, right or wrong, and reads what comes with a deadline.

import ConvergeTransport
import ConvergeWire

final class ChatSocket {
    enum Arrival {
        case text(String)
        case ping
        case pong([UInt8])
        case close(code: UInt16?, reason: String)
        /// The connection is over, with or without a close before.
        case end
    }

    struct Closing: Equatable, CustomStringConvertible {
        var code: UInt16?
        var reason: String

        init(_ code: UInt16?, _ reason: String = "") {
            self.code = code
            self.reason = reason
        }

        var description: String { "\(code.map(String.init) ?? "no code") \"\(reason)\"" }
    }

    let socket: RawSocket
    private var machine = WebSocketMachine(role: .client, limits: .init(maxMessageBytes: 64 << 20))
    private var arrivals: [Arrival] = []
    private var fences = 0
    /// Whether pings are answered.
    var answersPings = true

    /// Upgrades; fails where the answer is no 101.
    init(
        host: String = "127.0.0.1", port: UInt16, target: String, headers: [String] = [], receiveBuffer: Int32? = nil,
        patience: Duration = Deadline.patience, tls: TLSContext? = nil
    ) throws {
        socket = try RawSocket(host: host, port: port, receiveBuffer: receiveBuffer, tls: tls)
        try socket.send(HTTPText.upgrade(target, headers))
        var head: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        let deadline = Deadline(in: patience)
        while true {
            guard case .bytes(let bytes) = socket.receive(by: deadline) else {
                throw TestFailure("no answer to the upgrade: \(String(decoding: head, as: UTF8.self))")
            }
            head += bytes
            guard let at = (0...max(0, head.count - 4)).first(where: { head[$0...].starts(with: end) }) else {
                continue
            }
            guard head.starts(with: Array("HTTP/1.1 101 ".utf8)) else {
                throw TestFailure("not upgraded: \(String(decoding: head, as: UTF8.self))")
            }
            take(Array(head[(at + 4)...]))
            return
        }
    }

    // MARK: Sending

    func send(_ json: String) throws { try send(.text, Array(json.utf8)) }

    func send(_ opcode: WebSocketOpcode, _ payload: [UInt8], isFinal: Bool = true) throws {
        try socket.send(Self.frame(opcode, payload, isFinal: isFinal))
    }

    static func frame(_ opcode: WebSocketOpcode, _ payload: [UInt8], isFinal: Bool = true) -> [UInt8] {
        var frame = ByteBuffer()
        payload.withUnsafeBytes {
            WebSocketFrame.append(opcode, $0, isFinal: isFinal, mask: 0x5AC3_19E7, to: &frame)
        }
        return frame.array()
    }

    static func frame(_ json: String) -> [UInt8] { frame(.text, Array(json.utf8)) }

    func sendClose(_ code: UInt16 = 1000) throws { try send(.close, [UInt8(code >> 8), UInt8(code & 0xFF)]) }

    // MARK: Receiving

    func arrival(by deadline: Deadline = Deadline()) throws -> Arrival {
        while arrivals.isEmpty {
            switch socket.receive(by: deadline) {
            case .bytes(let bytes): take(bytes)
            case .end, .reset: return .end
            case .nothing: throw TestFailure("nothing came in time")
            }
        }
        return arrivals.removeFirst()
    }

    /// What has arrived by the deadline; nil for nothing.
    func arrivalIfAny(by deadline: Deadline) throws -> Arrival? {
        if arrivals.isEmpty {
            switch socket.receive(by: deadline) {
            case .bytes(let bytes): take(bytes)
            case .end, .reset: return .end
            case .nothing: return nil
            }
        }
        return arrivals.isEmpty ? nil : arrivals.removeFirst()
    }

    /// The next text frame.
    func next(by deadline: Deadline = Deadline()) throws -> Frame {
        while true {
            switch try arrival(by: deadline) {
            case .text(let text): return try Frame(text)
            case .ping, .pong: continue
            case .close(let code, let reason): throw TestFailure("closed: \(Closing(code, reason))")
            case .end: throw TestFailure("the connection ended")
            }
        }
    }

    /// The next frame of this type for which the condition holds; what comes before it is passed over.
    func next(_ type: String, by deadline: Deadline = Deadline(), where holds: (Frame) -> Bool = { _ in true }) throws
        -> Frame
    {
        var passed: [String] = []
        while true {
            do {
                let frame = try next(by: deadline)
                if frame.type == type, holds(frame) { return frame }
                passed.append(frame.text)
            } catch {
                throw TestFailure("no \(type): \(error); after \(passed.suffix(5))")
            }
        }
    }

    /// Sends a request and returns the frame that carries its `ref`.
    func ask(_ json: String, ref: String) throws -> Frame {
        try send(json)
        let deadline = Deadline()
        while true {
            let frame = try next(by: deadline)
            if frame.ref == ref { return frame }
        }
    }

    /// All frames that come before the reply to a request that is sent now.
    func framesUntilNow() throws -> [Frame] {
        fences += 1
        let ref = "fence-\(fences)"
        try send(#"{"type":"rooms","ref":"\#(ref)"}"#)
        var frames: [Frame] = []
        let deadline = Deadline()
        while true {
            let frame = try next(by: deadline)
            if frame.ref == ref { return frames }
            frames.append(frame)
        }
    }

    /// Passes over all that comes before the close frame.
    func waitForClose(by deadline: Deadline = Deadline()) throws -> Closing {
        while true {
            switch try arrival(by: deadline) {
            case .close(let code, let reason): return Closing(code, reason)
            case .end: throw TestFailure("the connection ended without a close frame")
            case .text, .ping, .pong: continue
            }
        }
    }

    /// Waits until the other side has ended the connection, whatever comes before.
    func waitForEnd(by deadline: Deadline = Deadline()) throws {
        while true { if case .end = try arrival(by: deadline) { return } }
    }

    private func take(_ bytes: [UInt8]) {
        var bytes = bytes
        var pings: [[UInt8]] = []
        bytes.withUnsafeMutableBytes { bytes in
            var offset = 0
            while true {
                switch machine.next(bytes, &offset) {
                case .needMore: return
                case .message(_, let payload): arrivals.append(.text(String(decoding: payload, as: UTF8.self)))
                case .ping(let payload):
                    arrivals.append(.ping)
                    pings.append(Array(payload))
                case .pong(let payload): arrivals.append(.pong(Array(payload)))
                case .close(let code, let reason):
                    arrivals.append(.close(code: code?.rawValue, reason: String(decoding: reason, as: UTF8.self)))
                case .fail(let violation): arrivals.append(.text("the server broke the protocol: \(violation)"))
                }
            }
        }
        if answersPings { for ping in pings { _ = try? send(.pong, ping) } }
    }
}

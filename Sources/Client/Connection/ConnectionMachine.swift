import ConvergeWire

/// A client's side of one connection: bytes in, events and bytes out. It has no socket and no clock.
///
/// Invariants: what is to be sent stands in `unsent` in order, the handshake first; after a close frame was sent nothing
/// follows it; after the connection's end no event follows, and the end is told once.
public struct ConnectionMachine: ~Copyable {
    public enum Event: Hashable, Sendable {
        /// The handshake is done, and this is what is spoken.
        case opened(ProtocolGeneration)
        case chat(ChatEvent)
        /// A frame that isn't a chat event; the connection goes on.
        case unreadable
        /// The answer to a `ping` with this number.
        case pong(UInt64)
        case ended(ConnectionEnd)
    }

    private enum Phase {
        case handshake
        /// The handshake was refused; the rest of the answer may say why.
        case refused(PlainRefusal, ConnectionEnd)
        case open, closing, ended
    }

    private var phase = Phase.handshake
    private var hasHeard = false
    private let handshake: ClientHandshake
    private var response = ResponseParser()
    private var machine: WebSocketMachine
    private var output = ByteBuffer()
    /// Gives each frame its mask, which must be unpredictable (RFC 6455, section 5.3).
    private var randomness: any RandomNumberGenerator & Sendable

    /// - Parameter maxMessageBytes: the largest frame that is accepted; a `history` reply holds many messages.
    public init(
        handshake: ClientHandshake, maxMessageBytes: Int = 64 << 20,
        randomness: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        self.handshake = handshake
        self.randomness = randomness
        machine = WebSocketMachine(role: .client, limits: .init(maxMessageBytes: maxMessageBytes))
        output.append(handshake.request)
    }

    private var isOpen: Bool {
        if case .open = phase { true } else { false }
    }

    /// What is to be written to the socket; valid until the next call.
    public var unsent: UnsafeRawBufferPointer { output.bytes }

    /// The first `count` bytes of `unsent` have been written.
    public mutating func sent(_ count: Int) {
        output.removeFirst(count)
        if output.isEmpty { output.removeAll(keeping: 65_536) }
    }

    /// Queues a command. Nothing happens before the handshake is done or after a close.
    public mutating func send(_ command: ChatCommand) {
        guard isOpen else { return }
        var text = ByteBuffer()
        command.encode(into: &text)
        WebSocketFrame.append(.text, text.bytes, mask: randomness.next(), to: &output)
    }

    /// Asks the other side for a sign of life.
    public mutating func ping() {
        guard isOpen else { return }
        WebSocketFrame.append(.ping, UnsafeRawBufferPointer(start: nil, count: 0), mask: randomness.next(), to: &output)
    }

    /// Asks the other side for a sign of life that bears this number: it comes back as `pong`.
    public mutating func ping(_ number: UInt64) {
        guard isOpen else { return }
        withUnsafeBytes(of: number.bigEndian) {
            WebSocketFrame.append(.ping, $0, mask: randomness.next(), to: &output)
        }
    }

    /// Begins the close handshake; the end comes as an event.
    public mutating func close(_ code: CloseCode = .normal, reason: Text = "") {
        guard isOpen else { return }
        phase = .closing
        WebSocketFrame.appendClose(code, reason: reason, mask: randomness.next(), to: &output)
    }

    /// Takes what was read; payloads are unmasked and read in place.
    public mutating func receive(_ bytes: UnsafeMutableRawBufferPointer) -> [Event] {
        var events: [Event] = []
        switch phase {
        case .ended: break
        case .open, .closing: readFrames(bytes, &events)
        case .refused(var refusal, let how):
            refusal.take(UnsafeRawBufferPointer(bytes))
            settle(refusal, how, &events)
        case .handshake where !hasHeard && !handshake.isSecure && PlainRefusal.isAlert(bytes.first):
            end(.needsTLS, &events)
        case .handshake:
            hasHeard = hasHeard || !bytes.isEmpty
            let (consumed, step) = response.receive(UnsafeRawBufferPointer(bytes))
            switch step {
            case .needMore: break
            case .malformed: end(.notWebSocket("what answers there is not an HTTP server"), &events)
            case .response(let head):
                switch handshake.judge(head) {
                case .ended(let refused):
                    guard !handshake.isSecure, var refusal = PlainRefusal(head) else {
                        end(refused, &events)
                        break
                    }
                    refusal.take(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[consumed...]))
                    settle(refusal, refused, &events)
                case .open(let generation):
                    phase = .open
                    events.append(.opened(generation))
                    readFrames(UnsafeMutableRawBufferPointer(rebasing: bytes[consumed...]), &events)
                }
            }
        }
        return events
    }

    /// The other side has closed its direction, or the socket has failed.
    public mutating func endOfStream() -> [Event] {
        var events: [Event] = []
        switch phase {
        case .ended: break
        case .refused(let refusal, let how): end(refusal.speaksTLS ? .needsTLS : how, &events)
        case .handshake:
            let perhaps = handshake.isSecure || hasHeard ? "" : "; if this port speaks TLS, use wss://"
            end(.notWebSocket("the connection was closed before any answer" + perhaps), &events)
        case .open: end(.lost, &events)
        // Not quite by the book, but what was asked for.
        case .closing: end(.closed(nil, reason: "", byUs: true), &events)
        }
        return events
    }

    private mutating func readFrames(_ bytes: UnsafeMutableRawBufferPointer, _ events: inout [Event]) {
        var offset = 0
        while true {
            switch machine.next(bytes, &offset) {
            case .needMore: return
            case .message(_, let payload):
                do throws(JSONError) {
                    events.append(.chat(try ChatEventDecoder.decode(payload)))
                } catch {
                    events.append(.unreadable)
                }
            case .ping(let payload):
                guard isOpen else { continue }
                WebSocketFrame.append(.pong, payload, mask: randomness.next(), to: &output)
            case .pong(let payload):
                if payload.count == 8 {
                    events.append(.pong(UInt64(bigEndian: payload.loadUnaligned(as: UInt64.self))))
                }
            case .close(let code, let reason):
                let byUs = !isOpen
                if !byUs { WebSocketFrame.appendClose(code ?? .absent, mask: randomness.next(), to: &output) }
                end(.closed(code, reason: String(decoding: reason, as: UTF8.self), byUs: byUs), &events)
            case .fail(let violation):
                if isOpen {
                    let reason = Text(violation.reason.description)
                    WebSocketFrame.appendClose(
                        violation.closeCode, reason: reason, mask: randomness.next(), to: &output)
                }
                end(.violated(violation), &events)
            }
        }
    }

    /// Waits for the rest of a refusal, where that is announced.
    private mutating func settle(_ refusal: PlainRefusal, _ how: ConnectionEnd, _ events: inout [Event]) {
        if refusal.speaksTLS {
            end(.needsTLS, &events)
        } else if refusal.isWhole {
            end(how, &events)
        } else {
            phase = .refused(refusal, how)
        }
    }

    private mutating func end(_ how: ConnectionEnd, _ events: inout [Event]) {
        phase = .ended
        events.append(.ended(how))
    }
}

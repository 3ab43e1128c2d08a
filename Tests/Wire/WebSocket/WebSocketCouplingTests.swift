import ConvergeTestSupport
import ConvergeWire
import Testing

/// The two sides coupled without a socket, and streams cut in every way.
@Suite("WebSocketMachine, coupled and cut") struct WebSocketCouplingTests {
    /// Random frames as `role`'s other side writes them, and what must be heard.
    static func stream(_ random: inout SplitMix64, to role: WebSocketMachine.Role) -> (bytes: [UInt8], heard: [Heard]) {
        var buffer = ByteBuffer()
        var heard: [Heard] = []
        func write(_ opcode: WebSocketOpcode, _ payload: some Collection<UInt8>, final: Bool = true) {
            let mask = role == .server ? random.word() : nil
            Array(payload).withUnsafeBytes {
                WebSocketFrame.append(opcode, $0, isFinal: final, mask: mask, to: &buffer)
            }
        }
        func maybeControl() {
            guard UInt8.random(in: 0..<4, using: &random) == 0 else { return }
            let length = Bool.random(using: &random) ? 125 : Int.random(in: 0...125, using: &random)
            let payload = random.bytes(length)
            if Bool.random(using: &random) {
                write(.ping, payload)
                heard.append(.ping(payload))
            } else {
                write(.pong, payload)
                heard.append(.pong(payload))
            }
        }
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let isText = Bool.random(using: &random)
            let size = [0, 1, 7, 60, 125, 126, 300].randomElement(using: &random) ?? 0
            let payload = isText ? random.text(size) : random.bytes(size)
            let pieces = Bool.random(using: &random) ? [payload] : Cuts.random(payload, &random)
            maybeControl()
            for (index, piece) in pieces.enumerated() {
                if index > 0 { maybeControl() }
                write(index > 0 ? .continuation : isText ? .text : .binary, piece, final: index == pieces.count - 1)
            }
            if pieces.isEmpty { write(isText ? .text : .binary, []) }
            heard.append(.message(isText ? .text : .binary, payload))
        }
        if Bool.random(using: &random) {
            WebSocketFrame.appendClose(
                .goingAway, reason: "so long", mask: role == .server ? random.word() : nil, to: &buffer)
            heard.append(.close(1001, Array("so long".utf8)))
        }
        return (buffer.array(), heard)
    }

    @Test(
        "what one side writes the other hears, however it is cut",
        arguments: [.server, .client] as [WebSocketMachine.Role])
    func coupled(_ role: WebSocketMachine.Role) {
        var wrong: [UInt64] = []
        for seed in UInt64(0)..<300 {
            var random = SplitMix64(seed: seed)
            let (bytes, expected) = Self.stream(&random, to: role)
            for pieces in [
                Cuts.whole(bytes), Cuts.single(bytes), Cuts.random(bytes, &random), Cuts.random(bytes, &random),
            ]
            where WebSocketMachine.hear(pieces, role: role) != expected {
                wrong.append(seed)
            }
        }
        #expect(wrong.isEmpty, "seeds")
    }

    @Test("damaged streams give the same steps, however they are cut")
    func damaged() {
        var wrong: [UInt64] = []
        var failures = 0
        for seed in UInt64(0)..<600 {
            var random = SplitMix64(seed: seed)
            var (bytes, _) = Self.stream(&random, to: .server)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch UInt8.random(in: 0..<3, using: &random) {
                case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
                default: if bytes.count > 1 { bytes.remove(at: at) }
                }
            }
            let limits = WebSocketMachine.Limits(
                maxMessageBytes: 400, maxFragments: 20, binaryIsText: Bool.random(using: &random))
            let whole = WebSocketMachine.hear([bytes], limits: limits)
            if case .fail = whole.last { failures += 1 }
            for pieces in [Cuts.single(bytes), Cuts.random(bytes, &random), Cuts.random(bytes, &random)]
            where WebSocketMachine.hear(pieces, limits: limits) != whole {
                wrong.append(seed)
            }
        }
        #expect(wrong.isEmpty, "seeds")
        #expect(failures > 200)
    }
}

import ConvergeWire
import Testing

@Suite("WebSocketFrame") struct WebSocketFrameTests {
    static func frame(
        _ opcode: WebSocketOpcode, _ payload: [UInt8], isFinal: Bool = true, mask: UInt32? = nil
    ) -> [UInt8] {
        var buffer = ByteBuffer()
        payload.withUnsafeBytes { WebSocketFrame.append(opcode, $0, isFinal: isFinal, mask: mask, to: &buffer) }
        return buffer.array()
    }

    @Test("the RFC's examples are written")
    func goldenFrames() {
        let hello = Array("Hello".utf8)
        #expect(Self.frame(.text, hello) == hex("81 05 48 65 6c 6c 6f"))
        #expect(Self.frame(.text, hello, mask: 0x3D21_FA37) == hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"))
        #expect(Self.frame(.text, Array("Hel".utf8), isFinal: false) == hex("01 03 48 65 6c"))
        #expect(Self.frame(.continuation, Array("lo".utf8)) == hex("80 02 6c 6f"))
        #expect(Self.frame(.ping, hello) == hex("89 05 48 65 6c 6c 6f"))
        #expect(Self.frame(.pong, hello, mask: 0x3D21_FA37) == hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"))
        let zeros = [UInt8](repeating: 0, count: 65_536)
        #expect(Self.frame(.binary, Array(zeros[..<256])).starts(with: hex("82 7E 01 00 00")))
        #expect(Self.frame(.binary, zeros).starts(with: hex("82 7F 00 00 00 00 00 01 00 00 00")))
    }

    @Test(
        "the header's length changes at 126 and 65,536",
        arguments: [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
    func headerLength(_ payload: Int, _ length: Int) {
        #expect(WebSocketFrame.headerLength(for: payload) == length)
        #expect(WebSocketFrame.headerLength(for: payload, masked: true) == length + 4)
        #expect(Self.frame(.binary, [UInt8](repeating: 1, count: payload)).count == payload + length)
    }

    @Test("a header is put before a payload that is there already", arguments: [0, 5, 126, 70_000])
    func headerBefore(_ count: Int) {
        let payload = [UInt8](repeating: 0x61, count: count)
        let room = WebSocketFrame.maximumServerHeaderLength
        var bytes = [UInt8](repeating: 0xEE, count: room) + payload
        let length = bytes.withUnsafeMutableBufferPointer { place in
            WebSocketFrame(.text, payloadLength: count).writeHeader(before: place.baseAddress.unsafelyUnwrapped + room)
        }
        #expect(Array(bytes[(room - length)...]) == Self.frame(.text, payload))
        #expect(bytes[..<(room - length)].allSatisfy { $0 == 0xEE })
    }

    @Test("a close carries its code and reason, and a long reason is cut at a character")
    func close() {
        func close(_ code: CloseCode, _ reason: Text) -> [UInt8] {
            var buffer = ByteBuffer()
            WebSocketFrame.appendClose(code, reason: reason, to: &buffer)
            return buffer.array()
        }
        #expect(close(.policyViolation, "unauthorized") == [0x88, 14, 0x03, 0xF0] + Array("unauthorized".utf8))
        #expect(close(.absent, "never said") == [0x88, 0])
        #expect(close(.abnormal, "") == [0x88, 0])
        let long = close(.normal, Text(String(repeating: "é", count: 100)))
        #expect(long.count == 2 + 2 + 122)
        #expect(WebSocketMachine.hear([long], role: .client) == [.close(1000, Array(long[4...]))])
    }
}

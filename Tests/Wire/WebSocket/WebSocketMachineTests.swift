import ConvergeTestSupport
import ConvergeWire
import Testing

@Suite("WebSocketMachine") struct WebSocketMachineTests {
    static let large = WebSocketMachine.Limits(maxMessageBytes: 1 << 24, maxFragments: 65_536, binaryIsText: false)

    // MARK: RFC 6455, section 5.7

    @Test("the RFC's examples are read", arguments: [0, 1, 2])
    func goldenFrames(_ cutting: Int) {
        var random = SplitMix64(seed: 57)
        func cut(_ bytes: [UInt8]) -> [[UInt8]] {
            switch cutting {
            case 0: Cuts.whole(bytes)
            case 1: Cuts.single(bytes)
            default: Cuts.random(bytes, &random)
            }
        }
        let long = [UInt8](repeating: 0xAB, count: 65_536)
        let table: [(WebSocketMachine.Role, [UInt8], [Heard])] = [
            (.client, hex("81 05 48 65 6c 6c 6f"), [.text("Hello")]),
            (.server, hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"), [.text("Hello")]),
            (.client, hex("01 03 48 65 6c 80 02 6c 6f"), [.text("Hello")]),
            (.client, hex("89 05 48 65 6c 6c 6f"), [.ping(Array("Hello".utf8))]),
            (.server, hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"), [.pong(Array("Hello".utf8))]),
            (.client, hex("82 7E 01 00") + long[..<256], [.message(.binary, Array(long[..<256]))]),
            (.client, hex("82 7F 00 00 00 00 00 01 00 00") + long, [.message(.binary, long)]),
        ]
        for (role, bytes, expected) in table {
            #expect(WebSocketMachine.hear(cut(bytes), role: role, limits: Self.large) == expected)
        }
    }

    // MARK: Messages

    @Test("control frames stand between the fragments of a message, and come first")
    func interleaved() {
        let bytes =
            rawFrame(0x01, "Hé") + rawFrame(0x89, "one") + rawFrame(0x00, "") + rawFrame(0x8A, "")
            + rawFrame(0x80, "llo") + rawFrame(0x88, [0x03, 0xE8] + Array("bye".utf8)) + rawFrame(0x81, "late")
        let expected: [Heard] = [
            .ping(Array("one".utf8)), .pong([]), .text("Héllo"), .close(1000, Array("bye".utf8)),
        ]
        #expect(WebSocketMachine.hear(Cuts.whole(bytes)) == expected)
        #expect(WebSocketMachine.hear(Cuts.single(bytes)) == expected)
    }

    @Test("a character may be cut by fragments, with a ping between them")
    func cutCharacter() {
        let bytes = rawFrame(0x01, [0xF0, 0x9F]) + rawFrame(0x89, [0xFF]) + rawFrame(0x80, [0x98, 0x80])
        #expect(WebSocketMachine.hear([bytes]) == [.ping([0xFF]), .text("😀")])
        #expect(WebSocketMachine.hear(Cuts.single(bytes)) == [.ping([0xFF]), .text("😀")])
    }

    @Test("empty messages and empty fragments are messages")
    func empty() {
        #expect(WebSocketMachine.hear([rawFrame(0x81, "") + rawFrame(0x82, "")]) == [.text(""), .message(.binary, [])])
        let fragments = rawFrame(0x01, "") + rawFrame(0x00, "") + rawFrame(0x80, "")
        #expect(WebSocketMachine.hear([fragments]) == [.text("")])
        #expect(WebSocketMachine.hear(Cuts.single(fragments)) == [.text("")])
    }

    @Test("binary messages are text where the limits say so, and then must be UTF-8")
    func binaryIsText() {
        let limits = WebSocketMachine.Limits(binaryIsText: true)
        #expect(WebSocketMachine.hear([rawFrame(0x82, "é")], limits: limits) == [.text("é")])
        #expect(WebSocketMachine.hear([rawFrame(0x82, [0xFF])], limits: limits) == [.fail(.invalidText)])
        #expect(WebSocketMachine.hear([rawFrame(0x82, [0xFF])]) == [.message(.binary, [0xFF])])
    }

    @Test("a whole frame is handed out where it lies in the input, and nothing is allocated")
    func inPlace() {
        var machine = WebSocketMachine(role: .server)
        var input = rawFrame(0x81, "first") + rawFrame(0x81, "second") + rawFrame(0x81, "cut").dropLast()
        input.withUnsafeMutableBytes { input in
            var offset = 0
            var at: [Int] = []
            while case .message(_, let bytes) = machine.next(input, &offset) {
                at.append(bytes.baseAddress.unsafelyUnwrapped - UnsafeRawPointer(input.baseAddress.unsafelyUnwrapped))
                #expect(machine.assemblyCapacity == 0)
            }
            #expect(at == [6, 17])
        }
        #expect(machine.assemblyCapacity > 0)
    }

    @Test("the memory for an incomplete message is gone when it was handed out")
    func memoryIsReturned() {
        var machine = WebSocketMachine(role: .server)
        let message = rawFrame(0x81, [UInt8](repeating: 0x61, count: 5_000))
        #expect(machine.hear(Array(message[..<4_000])) == [])
        #expect(machine.assemblyCapacity >= 3_992)
        #expect(machine.hear(Array(message[4_000...])).count == 1)
        #expect(machine.assemblyCapacity == 0)
        let ping = rawFrame(0x89, "ping")
        #expect(machine.hear(Array(ping[..<8])) == [])
        #expect(machine.hear(Array(ping[8...])).count == 1)
        #expect(machine.assemblyCapacity == 0)
    }

    @Test("a machine is small: there are many") func size() {
        #expect(MemoryLayout<WebSocketMachine>.size <= 80)
    }

    // MARK: Limits

    @Test("a message too big is refused by its header, also over fragments")
    func tooBig() {
        let limits = WebSocketMachine.Limits(maxMessageBytes: 10, maxFragments: 3)
        let ten = rawFrame(0x81, "0123456789")
        #expect(WebSocketMachine.hear([ten], limits: limits) == [.text("0123456789")])
        #expect(WebSocketMachine.hear([rawFrame(0x81, [], declared: 11)], limits: limits) == [.fail(.messageTooBig)])
        #expect(
            WebSocketMachine.hear([rawFrame(0x81, [], declared: 1 << 62)], limits: limits) == [.fail(.messageTooBig)])
        let six = rawFrame(0x01, "012345")
        #expect(WebSocketMachine.hear([six + rawFrame(0x80, "6789")], limits: limits) == [.text("0123456789")])
        #expect(
            WebSocketMachine.hear([six + rawFrame(0x80, [], declared: 5)], limits: limits) == [.fail(.messageTooBig)])
        // A control frame between them does not count.
        let between = six + rawFrame(0x89, "a longer ping") + rawFrame(0x80, "6789")
        #expect(WebSocketMachine.hear(Cuts.single(between), limits: limits).last == .text("0123456789"))
    }

    @Test("so many fragments continue a message, and not one more")
    func tooManyFragments() {
        let limits = WebSocketMachine.Limits(maxMessageBytes: 10, maxFragments: 3)
        let three = rawFrame(0x01, "a") + rawFrame(0x00, "b") + rawFrame(0x00, "") + rawFrame(0x80, "c")
        #expect(WebSocketMachine.hear([three + three], limits: limits) == [.text("abc"), .text("abc")])
        let four =
            rawFrame(0x01, "a") + rawFrame(0x00, "") + rawFrame(0x00, "") + rawFrame(0x00, "") + rawFrame(0x80, "")
        #expect(WebSocketMachine.hear([four], limits: limits) == [.fail(.tooManyFragments)])
    }

    @Test("a megabyte in fragments of 64 bytes is gathered in linear time")
    func manyFragments() {
        let text = [UInt8](repeating: 0x2A, count: 1 << 20)
        let fragment = rawFrame(0x00, Array(text[..<64]))
        var machine = WebSocketMachine(role: .server, limits: Self.large)
        #expect(machine.hear(rawFrame(0x01, "")) == [])
        for _ in 0..<(text.count / 64) { _ = machine.hear(fragment) }
        #expect(machine.assemblyCapacity <= 2 << 20)
        #expect(machine.hear(rawFrame(0x80, "")) == [.message(.text, text)])
    }

    // MARK: Violations

    static let violations: [([UInt8], WebSocketViolation)] = [
        (rawFrame(0xC1, "a"), .reservedBits),
        (rawFrame(0xA1, "a"), .reservedBits),
        (rawFrame(0x91, "a"), .reservedBits),
        (rawFrame(0xF9, "a"), .reservedBits),
        (rawFrame(0x83, "a"), .reservedOpcode),
        (rawFrame(0x87, "a"), .reservedOpcode),
        (rawFrame(0x8B, "a"), .reservedOpcode),
        (rawFrame(0x8F, "a"), .reservedOpcode),
        (rawFrame(0x09, "a"), .fragmentedControl),
        (rawFrame(0x08, ""), .fragmentedControl),
        (rawFrame(0x89, [UInt8](repeating: 0, count: 126)), .longControl),
        (rawFrame(0x8A, [], declared: 0, lengthBytes: 8), .longControl),
        (rawFrame(0x88, [UInt8](repeating: 0, count: 300)), .longControl),
        (rawFrame(0x81, "a", mask: nil), .notMasked),
        (rawFrame(0x89, "a", mask: nil), .notMasked),
        (rawFrame(0x81, [UInt8](repeating: 0x61, count: 125), lengthBytes: 2), .nonMinimalLength),
        (rawFrame(0x81, [UInt8](repeating: 0x61, count: 1_000), lengthBytes: 8), .nonMinimalLength),
        (rawFrame(0x81, [], declared: 1 << 63), .lengthOverflow),
        (rawFrame(0x81, [], declared: .max), .lengthOverflow),
        (rawFrame(0x80, "a"), .strayContinuation),
        (rawFrame(0x00, "a"), .strayContinuation),
        (rawFrame(0x81, "ok") + rawFrame(0x80, "a"), .strayContinuation),
        (rawFrame(0x01, "a") + rawFrame(0x81, "b"), .interruptedMessage),
        (rawFrame(0x01, "a") + rawFrame(0x02, "b"), .interruptedMessage),
        (rawFrame(0x88, [0x03]), .truncatedCloseCode),
        (rawFrame(0x88, [0x03, 0xE8, 0xC3, 0x28]), .invalidCloseReason),
        (rawFrame(0x88, [0x03, 0xE8, 0xE2, 0x82]), .invalidCloseReason),
        (rawFrame(0x81, [0xC0, 0x80]), .invalidText),
        (rawFrame(0x81, "Hello-µ@ßöäüàá-UTF-8!!".utf8 + [0xED, 0xA0, 0x80] + "edited".utf8), .invalidText),
        (rawFrame(0x81, [0xE2, 0x82]), .invalidText),
        (rawFrame(0x01, [0xF0, 0x9F]) + rawFrame(0x80, [0x98]), .invalidText),
        (rawFrame(0x01, [0xE2]) + rawFrame(0x80, "a"), .invalidText),
        (rawFrame(0x01, [0xF4, 0x90]) + rawFrame(0x80, [0x80, 0x80]), .invalidText),
        (rawFrame(0x81, [UInt8](repeating: 0x61, count: 70_000)), .messageTooBig),
    ]

    @Test("every violation is found and ends the connection", arguments: violations.indices)
    func violation(_ index: Int) {
        let (bytes, violation) = Self.violations[index]
        // Good frames after it are not heard.
        let stream = bytes + rawFrame(0x81, "after")
        for pieces in [Cuts.whole(stream), Cuts.single(stream)] {
            var machine = WebSocketMachine(role: .server)
            var heard: [Heard] = []
            for piece in pieces { heard += machine.hear(piece) }
            #expect(heard.last == .fail(violation))
            #expect(heard.dropLast().allSatisfy { $0 == .text("ok") })
            #expect(machine.isFinished == true)
            #expect(machine.assemblyCapacity == 0)
        }
    }

    @Test("violations map to 1002, 1007 and 1009")
    func closeCodes() {
        let codes = WebSocketViolation.allCases.map { ($0, $0.closeCode.rawValue) }
        for (violation, code) in codes {
            switch violation {
            case .messageTooBig, .tooManyFragments: #expect(code == 1009)
            case .invalidText, .invalidCloseReason: #expect(code == 1007)
            default: #expect(code == 1002)
            }
            #expect(violation.reason.utf8CodeUnitCount <= 123)
        }
    }

    @Test("a server's frame must not be masked")
    func maskedServerFrame() {
        #expect(WebSocketMachine.hear([rawFrame(0x81, "a")], role: .client) == [.fail(.masked)])
        #expect(WebSocketMachine.hear([rawFrame(0x81, [0xFF], mask: nil)], role: .client) == [.fail(.invalidText)])
    }

    @Test("close codes that may be on the wire pass, all others are violations")
    func everyCloseCode() {
        var wrong: [UInt16] = []
        for code in UInt16(0)...UInt16.max {
            let allowed = 1000...1003 ~= code || 1007...1014 ~= code || 3000...4999 ~= code
            let frame = rawFrame(0x88, [UInt8(code >> 8), UInt8(code & 0xFF)])
            let expected: Heard = allowed ? .close(code, []) : .fail(.invalidCloseCode)
            if WebSocketMachine.hear([frame]) != [expected] { wrong.append(code) }
        }
        #expect(wrong.isEmpty)
        #expect(WebSocketMachine.hear([rawFrame(0x88, "")]) == [.close(nil, [])])
    }

    @Test("bad text is refused in the middle of a frame, before its end comes")
    func earlyRefusal() {
        let text = Array("κόσμε".utf8) + [0xF4, 0x90] + [UInt8](repeating: 0x61, count: 1_000)
        let frame = rawFrame(0x81, text)
        let header = frame.count - text.count
        var machine = WebSocketMachine(role: .server)
        #expect(machine.hear(Array(frame[..<(header + 11)])) == [])
        #expect(machine.hear([frame[header + 11]]) == [.fail(.invalidText)])
    }

    @Test("after a close nothing is heard")
    func afterClose() {
        var machine = WebSocketMachine(role: .server)
        #expect(machine.hear(rawFrame(0x88, [0x0F, 0xA0]) + rawFrame(0x89, "")) == [.close(4000, [])])
        #expect(machine.isFinished == true)
        #expect(machine.hear(rawFrame(0x81, "a")) == [])
    }
}

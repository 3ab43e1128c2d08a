// What broken WebSocket frames get: the right close code, and the end of the connection.

import ConvergeNode
import ConvergeStorage
import ConvergeWire
import Testing

@Suite struct BadFrameTests {
    /// A frame by hand: first byte, whatever it says; masked with a key of zeros.
    static func raw(_ first: UInt8, _ payload: [UInt8], masked: Bool = true) -> [UInt8] {
        let mask: UInt8 = masked ? 0x80 : 0
        let length =
            payload.count < 126
            ? [mask | UInt8(payload.count)] : [mask | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        return [first] + length + (masked ? [0, 0, 0, 0] : []) + payload
    }

    static func close(_ code: UInt16, _ reason: [UInt8] = []) -> [UInt8] {
        raw(0x88, [UInt8(code >> 8), UInt8(code & 0xFF)] + reason)
    }

    static let ping = raw(0x89, [1])
    static let text = Array(#"{"body":"x"}"#.utf8)

    static let violations: [Row] = [
        ("unmasked", raw(0x81, text, masked: false), 1002), ("unmasked ping", raw(0x89, [], masked: false), 1002),
        ("reserved bit 1", raw(0xC1, text), 1002), ("reserved bit 2", raw(0xA1, text), 1002),
        ("reserved bit 3", raw(0x91, text), 1002), ("a fragmented ping", raw(0x09, []), 1002),
        ("a fragmented close", raw(0x08, [3, 232]), 1002),
        ("a long ping", raw(0x89, [UInt8](repeating: 0, count: 126)), 1002),
        ("a stray continuation", raw(0x80, text), 1002), ("a stray first continuation", raw(0x00, text), 1002),
        ("an interrupted message", raw(0x01, text) + raw(0x81, text), 1002),
        ("an interrupted message, ping between", raw(0x01, text) + ping + raw(0x02, text), 1002),
        ("a close of one byte", raw(0x88, [3]), 1002),
        ("a length not minimal", [0x81, 0x80 | 126, 0, 5, 0, 0, 0, 0] + Array(text.prefix(5)), 1002),
        ("a long length not minimal", [0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0] + Array(text.prefix(5)), 1002),
        ("a length over 63 bits", [0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1002),
        ("bad UTF-8", raw(0x81, [0x7B, 0xFF, 0x7D]), 1007), ("an overlong form", raw(0x81, [0xC0, 0x80]), 1007),
        ("a surrogate", raw(0x81, [0xED, 0xA0, 0x80]), 1007),
        ("past the last", raw(0x81, [0xF4, 0x90, 0x80, 0x80]), 1007),
        ("a cut character", raw(0x81, [0x7B, 0xE2, 0x82]), 1007),
        ("bad UTF-8, binary", raw(0x82, [0x7B, 0xFF, 0x7D]), 1007),
        ("bad UTF-8 across fragments", raw(0x01, [0xE2]) + raw(0x80, [0x28, 0xA1]), 1007),
        ("a reason that is no UTF-8", close(1000, [0xFF]), 1007),
        // These say enough before they are whole.
        ("bad UTF-8 in a fragment, unfinished", raw(0x01, [0x7B, 0xFF]), 1007),
        ("bad UTF-8 in half a frame", Array(raw(0x81, [UInt8](repeating: 0xFF, count: 1_000)).dropLast(990)), 1007),
        ("too long by its header", [0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0], 1009),
        (
            "far too long by its header", [0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
            1009
        ),
        (
            "too long over fragments",
            raw(0x01, [UInt8](repeating: 0x20, count: 40_000)) + [0x80, 0x80 | 126, 0x63, 0xC1, 0, 0, 0, 0], 1009
        ),
    ]

    typealias Row = (String, [UInt8], UInt16)

    static let table: [Row] = violations + opcodes + closeCodes

    static let opcodes: [Row] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map { (opcode: UInt8) -> Row in
        ("opcode \(opcode)", raw(0x80 | opcode, []), 1002)
    }

    static let closeCodes: [Row] =
        [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2_000, 2_999, 5_000, 65_535].map { (code: UInt16) -> Row in
            ("close code \(code)", close(code), 1002)
        }

    @Test func `each violation gets its close code, and the connection ends`() throws {
        try withNode { node in
            let watcher = try node.client("watcher")
            for (index, (what, bytes, code)) in Self.table.enumerated() {
                let client = try node.client("user\(index)")
                try client.socket.send(bytes)
                #expect(try client.waitForClose().code == code, "\(what)")
                try client.waitForEnd()
                _ = try watcher.next("system") { $0.body == "user\(index) left" }
            }
            #expect(try node.metric("protocol_errors_total") == Self.table.count)
        }
    }

    @Test func `each violation is found also when it comes byte by byte`() throws {
        try withNode { node in
            for (index, (what, bytes, code)) in Self.table.enumerated() where bytes.count < 1_000 {
                // A user of its own each time: one that comes back before it has left does not join anew.
                let client = try node.client("user\(index)")
                for byte in bytes { if (try? client.socket.sendSome([byte])) == nil { break } }
                #expect(try client.waitForClose().code == code, "\(what)")
                client.socket.close()
            }
        }
    }

    @Test(
        "a good close is answered with its code",
        arguments: [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])
    func goodClose(code: Int) throws {
        try withNode { node in
            let client = try node.client("ann")
            try client.socket.send(Self.close(UInt16(code), Array("bye".utf8)))
            #expect(try client.waitForClose().code == UInt16(code))
            try client.waitForEnd()
        }
    }

    @Test func `a close without a code is answered without one`() throws {
        try withNode { node in
            let client = try node.client("ann")
            try client.socket.send(Self.raw(0x88, []))
            #expect(try client.waitForClose().code == nil)
            try client.waitForEnd()
        }
    }

    @Test func `what comes after a close is not read`() throws {
        try withNode { node in
            let watcher = try node.client("watcher")
            let client = try node.client("ann")
            _ = try watcher.next("system")
            try client.socket.send(Self.close(1000) + ChatSocket.frame(#"{"body":"too late"}"#))
            _ = try client.waitForClose()
            #expect(try watcher.next().body == "ann left")
            #expect(try watcher.framesUntilNow().map(\.text) == [])
        }
    }

    @Test func `binary is read as text is, fragments are put together, pings are answered between them`() throws {
        try withNode { node in
            let client = try node.client("ann")
            try client.send(.binary, Array(#"{"body":"binary"}"#.utf8))
            #expect(try client.next().body == "binary")

            let pieces = Array(#"{"body":"piece by piece: é €"}"#.utf8)
            for (index, byte) in pieces.enumerated() {
                let last = index == pieces.count - 1
                try client.send(index == 0 ? .text : .continuation, [byte], isFinal: last)
                if !last { try client.send(.ping, Array("p\(index)".utf8)) }
            }
            var pongs: [String] = []
            var body = ""
            while body.isEmpty {
                switch try client.arrival() {
                case .pong(let payload): pongs.append(String(decoding: payload, as: UTF8.self))
                case .text(let text): body = try Frame(text).body
                case .ping: continue
                case .close, .end: throw TestFailure("closed")
                }
            }
            #expect(body == "piece by piece: é €")
            #expect(pongs == (0..<pieces.count - 1).map { "p\($0)" })
        }
    }

    @Test func `a message of just the limit is taken`() throws {
        try withNode {
            $0.maxBodyLength = 100_000
        } _: { node in
            let client = try node.client("ann")
            let frame = #"{"body":""}"#
            let body = String(repeating: "x", count: 65_536 - frame.utf8.count)
            try client.send(#"{"body":"\#(body)"}"#)
            #expect(try client.next().body == body)
            try client.send(#"{"body":"\#(body)x"}"#)
            #expect(try client.waitForClose().code == 1009)
        }
    }
}

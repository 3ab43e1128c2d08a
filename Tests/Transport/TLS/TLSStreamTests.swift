import ConvergeTestSupport
import ConvergeTransport
import Testing

/// Bytes through an established connection, and what is not TLS at all.
@Suite("TLSStream") struct TLSStreamTests {
    private static let context: TLSContext = {
        do {
            return try TLSContext.peer(
                secrets: PeerSecrets(current: [UInt8](repeating: 0x61, count: 40), cluster: "streams"))
        } catch {
            preconditionFailure("\(error)")
        }
    }()

    private func connected(piece: Int = .max) throws -> TLSPair {
        var pair = try TLSPair(client: Self.context, server: Self.context)
        pair.connect(piece: piece)
        try #require(pair.isEstablished == true)
        return pair
    }

    @Test("a handshake and what follows may come byte by byte, or in any pieces", arguments: [1, 2, 5, 77])
    func pieces(_ piece: Int) throws {
        var pair = try connected(piece: piece)
        let message = (0..<3_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try pair.client.say(message)
        _ = pair.carry(piece: piece)
        #expect(try pair.server.heard(atOnce: 13) == message)
    }

    @Test("much data in both directions at once comes whole and in order")
    func large() throws {
        var pair = try connected()
        var random = SplitMix64(seed: 11)
        var (sent, got) = (([UInt8](), [UInt8]()), ([UInt8](), [UInt8]()))
        for _ in 0..<20 {
            let there = (0..<Int.random(in: 1...200_000, using: &random)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let back = (0..<Int.random(in: 1...50_000, using: &random)).map { UInt8(truncatingIfNeeded: $0 &* 13) }
            try pair.client.say(there)
            try pair.server.say(back)
            sent.0 += there
            sent.1 += back
            _ = pair.carry(piece: Int.random(in: 100...20_000, using: &random) * 100)
            got.0 += try pair.server.heard()
            got.1 += try pair.client.heard()
        }
        #expect(got.0 == sent.0 && got.1 == sent.1, "seed 11")
        #expect(pair.clientError == nil && pair.serverError == nil)
        #expect(!pair.client.hasOutput && !pair.server.hasOutput)
    }

    @Test("whoever says that it ends is told apart from one that was cut off")
    func ends() throws {
        var pair = try connected()
        try pair.client.say([1, 2])
        pair.client.close()
        pair.client.close()
        _ = pair.carry()
        // First what came before the end.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 10, alignment: 1)
        defer { buffer.deallocate() }
        let count = try pair.server.read(into: buffer)
        #expect(Array(buffer.prefix(count)) == [1, 2])
        #expect(throws: TLSError.closed) { _ = try pair.server.heard() }
        #expect(throws: TLSError.closed) { _ = try pair.server.heard() }
        // The other direction still stands.
        try pair.server.say([3])
        _ = pair.carry()
        #expect(try pair.client.heard() == [3])

        var cut = try connected()
        try cut.client.say([UInt8](repeating: 9, count: 100))
        #expect(cut.server.deliver(Array(cut.client.output().dropLast(10))) == nil)
        #expect(try cut.server.heard() == [])
        #expect(try cut.server.heard() == [])
    }

    @Test("a changed byte breaks the connection, and nothing of the record is read")
    func changed() throws {
        var pair = try connected()
        try pair.client.say([1, 2, 3])
        var bytes = pair.client.output()
        bytes[bytes.count - 3] ^= 0x10
        try pair.server.take(bytes)
        #expect(throws: TLSError.broken("decryption failed or bad record mac")) { _ = try pair.server.heard() }
        #expect(throws: TLSError.broken("decryption failed or bad record mac")) { try pair.server.say([1]) }
        #expect(pair.server.hasOutput == true)  // an alert
    }

    @Test("a record that comes twice breaks the connection")
    func twice() throws {
        var pair = try connected()
        try pair.client.say([1, 2, 3])
        let bytes = pair.client.output()
        try pair.server.take(bytes)
        #expect(try pair.server.heard() == [1, 2, 3])
        try pair.server.take(bytes)
        #expect(throws: TLSError.broken("decryption failed or bad record mac")) { _ = try pair.server.heard() }
    }

    @Test("what is not TLS fails at once or waits for more, and never is established")
    func garbage() throws {
        var random = SplitMix64(seed: 5)
        var accepted = 0
        for round in 0..<200 {
            var server = try TLSStream(context: Self.context, role: .server)
            let bytes = (0..<Int.random(in: 1...500, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            _ = server.deliver(round % 2 == 0 ? bytes : [22, 3, 1, 0, 200] + bytes)
            if server.isEstablished { accepted += 1 }
        }
        #expect(accepted == 0, "seed 5")
        var server = try TLSStream(context: Self.context, role: .server)
        #expect(server.deliver(Array("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n".utf8)) == .handshakeFailed("http request"))
    }

    @Test("a handshake with one byte changed or cut short is refused, or waits")
    func mutations() throws {
        var random = SplitMix64(seed: 17)
        var established = 0
        for round in 0..<150 {
            var pair = try TLSPair(client: Self.context, server: Self.context)
            _ = pair.client.shake()
            var hello = pair.client.output()
            if round % 3 == 0 {
                hello.removeLast(Int.random(in: 1..<hello.count, using: &random))
            } else {
                hello[Int.random(in: 0..<hello.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            }
            _ = pair.server.deliver(hello)
            pair.connect()
            if pair.isEstablished { established += 1 }
        }
        // Bytes that no one authenticates remain: the version that a record's header claims.
        #expect(established <= 2, "seed 17")
    }

    @Test("no more waits before the handshake than its limit, and after it than the other one")
    func limits() throws {
        var server = try TLSStream(context: Self.context, role: .server)
        #expect(throws: TLSError.tooMuch) {
            try server.take([UInt8](repeating: 0, count: TLSStream.handshakeLimit + 1))
        }
        #expect(server.shake() == .tooMuch)
        var pair = try connected()
        #expect(throws: TLSError.tooMuch) {
            try pair.server.take([UInt8](repeating: 0, count: TLSStream.inputLimit + 1))
        }
    }

    @Test("before the handshake is done nothing is read and nothing written")
    func early() throws {
        var pair = try TLSPair(client: Self.context, server: Self.context)
        #expect(throws: TLSError.notEstablished) { try pair.client.say([1]) }
        #expect(try pair.client.heard() == [])
        pair.client.close()
        #expect(pair.client.hasOutput == false)
        pair.connect()
        #expect(pair.isEstablished == true)
    }
}

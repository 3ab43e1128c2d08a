import ConvergeTransport
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("A client's address") struct ClientAddressTests {
    private func client(_ peer: String, _ forwarded: [String], trusted: [String]) throws -> String {
        ClientAddress.of(
            peer: try #require(IPAddress(peer)), forwarded: forwarded.map { Text($0) },
            trusted: try trusted.map { try #require(IPRange($0)) }
        ).description
    }

    @Test("nobody is believed unless told to")
    func untrusted() throws {
        #expect(try client("203.0.113.9", ["198.51.100.1"], trusted: []) == "203.0.113.9")
        #expect(try client("203.0.113.9", ["198.51.100.1"], trusted: ["10.0.0.0/8"]) == "203.0.113.9")
    }

    @Test("a trusted proxy says who asked it, and whatever stands before that is made up")
    func trusted() throws {
        let trusted = ["10.0.0.0/8", "::1"]
        #expect(try client("10.0.0.1", ["198.51.100.1"], trusted: trusted) == "198.51.100.1")
        #expect(try client("10.0.0.1", ["1.2.3.4, 198.51.100.1"], trusted: trusted) == "198.51.100.1")
        #expect(try client("10.0.0.1", ["1.2.3.4", "198.51.100.1 "], trusted: trusted) == "198.51.100.1")
        #expect(try client("::ffff:10.0.0.1", ["2001:db8::7"], trusted: trusted) == "2001:db8::7")
    }

    @Test("proxies behind proxies, and where all are trusted the farthest")
    func chains() throws {
        let trusted = ["10.0.0.0/8"]
        #expect(try client("10.0.0.1", ["198.51.100.1, 10.0.0.3,10.0.0.2"], trusted: trusted) == "198.51.100.1")
        #expect(try client("10.0.0.1", ["10.0.0.3,10.0.0.2"], trusted: trusted) == "10.0.0.3")
        #expect(try client("10.0.0.1", [], trusted: trusted) == "10.0.0.1")
    }

    @Test("ports are left out; what can't be read leaves the proxy that passed it on")
    func odd() throws {
        let trusted = ["10.0.0.0/8"]
        #expect(try client("10.0.0.1", ["198.51.100.1:4711"], trusted: trusted) == "198.51.100.1")
        #expect(try client("10.0.0.1", ["[2001:db8::7]:4711"], trusted: trusted) == "2001:db8::7")
        for bad in ["", "unknown", "_hidden", "1.2.3.4.5", "\u{1b}[2J", "a\"b", ", ,"] {
            #expect(try client("10.0.0.1", ["198.51.100.1,\(bad)"], trusted: trusted) == "10.0.0.1")
        }
        #expect(try client("10.0.0.1", ["198.51.100.1,unknown,10.0.0.2"], trusted: trusted) == "10.0.0.2")
        let long = Array(repeating: "10.0.0.2", count: 1_000).joined(separator: ",")
        #expect(try client("10.0.0.1", ["198.51.100.1,\(long)"], trusted: trusted) == "10.0.0.2")
    }
}

import Testing

@testable import ConvergeNode

@Suite("Listen addresses")
struct ListenAddressTests {
    @Test(
        "a host with a port is read",
        arguments: [
            ("127.0.0.1:8080", "127.0.0.1", 8_080), (":8080", "0.0.0.0", 8_080), ("[::1]:8080", "::1", 8_080),
            ("localhost:0", "localhost", 0), ("chat-1.example.org:65535", "chat-1.example.org", 65_535),
            ("[::]:1", "::", 1), ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
            ("[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", 80),
        ])
    func reads(text: String, host: String, port: UInt16) {
        #expect(ListenAddress(text) == ListenAddress(host: host, port: port))
    }

    @Test(
        "anything else is refused",
        arguments: [
            "", ":", "8080", "localhost", "localhost:", "localhost:http", "localhost:-1", "localhost:+80",
            "localhost:65536", "localhost:100000", "::1:8080", "[::1]", "[::1]8080", "[localhost]:80", "[]:80",
            "[:]:80",
            "a b:80", "a/b:80", "http://a:80", "-a:80", "a\u{0}:80", "[::1%]:80", "é:80",
            String(repeating: "a", count: 254) + ":80",
        ])
    func refuses(text: String) {
        #expect(ListenAddress(text) == nil)
    }

    @Test("an address is written as it is read", arguments: ["127.0.0.1:8080", "[::1]:8080", "localhost:0"])
    func writes(text: String) {
        #expect(ListenAddress(text)?.text == text)
    }
}

import ConvergeTransport
import Testing

@Suite("IP addresses and ranges") struct IPAddressTests {
    @Test(
        "an address has one form, and IPv4 within IPv6 is IPv4",
        arguments: [
            ("127.0.0.1", "127.0.0.1"), ("::ffff:10.1.2.3", "10.1.2.3"), ("::1", "::1"),
            ("2001:DB8:0:0::7", "2001:db8::7"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
        ])
    func forms(_ text: String, _ form: String) {
        #expect(IPAddress(text)?.description == form)
        #expect(IPAddress(text) == IPAddress(form))
    }

    @Test(
        "what is no address is none",
        arguments: [
            "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4:80", "[::1]", "fe80::1%lo", "localhost", " ::1",
            "1.2.3.4\0", "::1\0x", String(repeating: "1", count: 10_000),
        ])
    func none(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test(
        "a range holds what begins with its bits",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("192.168.1.0/25", "192.168.1.127", true), ("192.168.1.0/25", "192.168.1.128", false),
            ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1", "127.0.0.2", false), ("127.0.0.1", "::1", false),
            ("fd00::/8", "fdff::1", true), ("fd00::/8", "fe00::1", false), ("::/0", "1.2.3.4", true),
            ("0.0.0.0/0", "1.2.3.4", true), ("0.0.0.0/0", "::1", false), ("2001:db8::/65", "2001:db8::1", true),
            ("2001:db8::/65", "2001:db8:0:0:8000::1", false), ("::1/128", "::1", true),
        ])
    func contains(_ range: String, _ address: String, _ isIn: Bool) throws {
        let range = try #require(IPRange(range))
        #expect(range.contains(try #require(IPAddress(address))) == isIn)
    }

    @Test("a range reads back as it is written", arguments: ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8", "0.0.0.0/0"])
    func reads(_ text: String) { #expect(IPRange(text)?.description == text) }

    @Test(
        "what is no range is none: bits behind the prefix mean another range",
        arguments: [
            "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.1/8", "fd00::1/8", "fd00::/129",
            "10.0.0.0/8/8", "host/8", "10.0.0.0 /8", "10.0.0.0/99999999999999999999",
        ])
    func noRange(_ text: String) { #expect(IPRange(text) == nil) }
}

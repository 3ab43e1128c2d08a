import Testing

@testable import ConvergeNode

/// A list of origins holds what browsers send, byte for byte, or it is refused.
@Suite("Origin list") struct OriginListTests {
    /// What the list is, or why it is none.
    private func read(_ text: String) -> Result<[String]?, OriginList.Refusal> {
        do throws(OriginList.Refusal) {
            return .success(try OriginList(text).origins)
        } catch {
            return .failure(error)
        }
    }

    private func problem(_ text: String) -> String {
        if case .failure(let refusal) = read(text) { refusal.problem } else { "taken" }
    }

    @Test(
        "what browsers send is taken as it is",
        arguments: [
            "https://chat.example.org", "http://localhost:3000", "https://a.example:8443", "http://a.example:443",
            "https://a.example:80", "https://xn--bcher-kva.example", "http://127.0.0.1:8080", "http://[::1]:3000",
            "http://[2001:db8::1]", "https://a_b.example", "https://a.example.", "null", "chrome-extension://abcdefg",
            "capacitor://localhost", "https://a.example:65535",
        ])
    func taken(_ origin: String) {
        #expect(read(origin) == .success([origin]))
    }

    @Test(
        "what no browser sends is refused, with what was probably meant",
        arguments: [
            ("https://a.example:443", "https://a.example"), ("http://a.example:80", "http://a.example"),
            ("https://a.example:08443", "https://a.example:8443"), ("https://A.example", "https://a.example"),
            ("HTTPS://a.example", "https://a.example"), ("https://a.example/", "https://a.example"),
            ("https://a.example/chat?x#y", "https://a.example"), ("https://ann:pw@a.example", "https://a.example"),
            ("wss://a.example", "https://a.example"), ("ws://a.example:8080/ws", "http://a.example:8080"),
            ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"), ("http://[2001:DB8::1]", "http://[2001:db8::1]"),
            ("http://127.1", "http://127.0.0.1"), ("http://127.000.000.1", "http://127.0.0.1"),
            ("file:///home/ann/index.html", "null"), ("NULL", "null"),
        ])
    func corrected(_ entry: String, _ meant: String) {
        let found = problem("https://fine.example, \(entry)")
        #expect(found.hasSuffix(" is none: write \(meant)") && found.contains("\"\(entry)\""), "\(found)")
        #expect(read(meant) == .success([meant]))
    }

    @Test(
        "what is no origin at all is refused by name",
        arguments: [
            "a.example", "https://", "https:a.example", "://a", "https://a.example:65536", "https://a.example:0",
            "https://a.example:", "https://a.example:x", "https://bücher.example", "https://*.example.org",
            "https://a b", "https://a..b", "https://.a", "http://[::1", "http://[::1%eth0]", "http://1.2.3.4.5",
            "http://256.1.1.1", "1https://a", "https://a\u{7F}", "https://[a]",
        ])
    func refused(_ entry: String) {
        let found = problem("https://fine.example,\(entry)")
        #expect(found.contains(" is none: https://HOST") && found.contains(SettingsError.readable(entry)), "\(found)")
    }

    @Test("a star is all, and a list of nothing is an error")
    func all() {
        #expect(read("*") == .success(nil))
        for nothing in [",", " , ,", ",,,"] { #expect(problem(nothing).contains("there is no origin in it")) }
        #expect(
            read("https://a.example,,https://a.example, https://b.example,")
                == .success(["https://a.example", "https://b.example"]))
        let many = (0...1_000).map { "https://a\($0).example" }.joined(separator: ",")
        #expect(problem(many) == "must be at most 1000 origins")
    }

    @Test("what an error shows of an entry is one readable piece")
    func readable() {
        let found = problem("https://a\u{1B}[2J\u{202E}" + String(repeating: "x", count: 10_000))
        #expect(found.isPrintable && found.count < 400)
    }
}

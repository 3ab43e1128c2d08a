import Testing

@testable import ConvergeClient

@Suite("Server addresses")
struct ServerURLTests {
    @Test(
        "addresses are read as a person means them",
        arguments: [
            ("ws://127.0.0.1:8080", "127.0.0.1", 8_080, "/ws"),
            ("ws://chat.example.org", "chat.example.org", 80, "/ws"),
            ("WS://h:1/", "h", 1, "/ws"), ("ws://h:1/chat?x=1", "h", 1, "/chat?x=1"),
            ("ws://h?x=1", "h", 80, "/ws?x=1"),
            ("http://h:9/ws", "h", 9, "/ws"), ("h:9", "h", 9, "/ws"), ("ws://[::1]:9/ws", "::1", 9, "/ws"),
            ("[::1]", "::1", 80, "/ws"), ("ws://h/ws#part", "h", 80, "/ws"), ("ws://h/?x=1", "h", 80, "/ws?x=1"),
        ])
    func reads(text: String, host: String, port: UInt16, target: String) throws {
        let url = try ServerURL(text)
        #expect(url.host == host && url.port == port && url.target == target)
    }

    @Test(
        "what is no address is refused",
        arguments: [
            "", "ws://", "ftp://h", "ws://h:0", "ws://h:70000", "ws://h:x", "ws://a b", "ws://h\r\nX: y", "ws://u@h",
            "ws://::1:80", "ws://[::1", "ws://[::1]x", "ws://é",
        ])
    func refuses(text: String) {
        #expect(throws: ServerURL.Problem.unreadable) { try ServerURL(text) }
    }

    @Test(
        "wss and https ask for TLS, on port 443 unless another is given",
        arguments: ["wss://h", "https://h", "WSS://h"])
    func secure(text: String) throws {
        let url = try ServerURL(text)
        #expect(url.isSecure && url.port == 443 && url.authority == "h:443")
        #expect(try ServerURL(text + ":1/x").port == 1)
        #expect(try !ServerURL("ws://h").isSecure && !ServerURL("h").isSecure)
    }

    @Test("a room goes into the query percent-encoded")
    func room() throws {
        #expect(try ServerURL("ws://h").target(adding: "room", "a b&c=é/~") == "/ws?room=a%20b%26c%3D%C3%A9%2F~")
        #expect(try ServerURL("ws://h?x=1").target(adding: "room", "r") == "/ws?x=1&room=r")
    }
}

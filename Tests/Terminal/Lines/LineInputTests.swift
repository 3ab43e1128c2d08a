import Testing

@testable import ConvergeClient
@testable import ConvergeTerminal

@Suite("What a person types")
struct LineInputTests {
    @Test(
        "lines are messages, and commands after a slash",
        arguments: [
            ("hello", LineInput.message("hello")), ("  hello ", .message("  hello ")), ("", .nothing),
            (" \t", .nothing),
            ("//etc", .message("/etc")), ("/join dev", .join("dev")), ("/JOIN  my room ", .join("my room")),
            ("/rooms", .rooms), ("/users ", .users), ("/history", .history(nil)), ("/history 20", .history(20)),
            ("/help", .help), ("/quit", .quit), ("/q", .quit),
        ])
    func reads(line: String, input: LineInput) {
        #expect(LineInput(line) == input)
    }

    @Test(
        "what is not understood is not sent",
        arguments: ["/", "/nope", "/join", "/join  ", "/history x", "/history -1", "/history 0", "/rooms x"])
    func mistakes(line: String) {
        guard case .mistake = LineInput(line) else {
            Issue.record("\(line) is no mistake")
            return
        }
    }

    @Test("lines come out whole however the bytes are cut")
    func splitting() {
        let text = "one\r\ntwo\n\nthree é"
        for size in 1...text.utf8.count {
            var splitter = LineSplitter()
            var lines: [LineSplitter.Line] = []
            let bytes = Array(text.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                lines += splitter.feed(bytes[start..<min(start + size, bytes.count)])
            }
            if let last = splitter.finish() { lines.append(last) }
            #expect(lines == [.text("one"), .text("two"), .text(""), .text("three é")], "pieces of \(size)")
        }
    }

    @Test("a line over the limit is dropped, the next one is not")
    func long() {
        var splitter = LineSplitter(limit: 4)
        #expect(splitter.feed("abcde\nabcd\n".utf8) == [.tooLong, .text("abcd")])
        #expect(splitter.feed("abcdefgh".utf8).isEmpty)
        #expect(splitter.finish() == .tooLong)
        #expect(splitter.finish() == nil)
    }
}

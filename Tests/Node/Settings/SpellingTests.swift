import Testing

@testable import ConvergeNode

@Suite("Did you mean")
struct SpellingTests {
    private let known = ["serve", "chat", "token", "secret", "version", "help"]

    @Test(
        "a slip finds the word that was meant",
        arguments: [
            ("serv", "serve"), ("sevre", "serve"), ("chta", "chat"), ("tokens", "token"), ("HELP", "help"),
            ("hepl", "help"),
        ])
    func near(word: String, meant: String) {
        #expect(Spelling.nearest(to: word, among: known) == meant)
    }

    @Test("another word finds nothing", arguments: ["", "x", "start", "run", String(repeating: "serve", count: 1_000)])
    func far(word: String) {
        #expect(Spelling.nearest(to: word, among: known) == nil)
    }
}

import Testing

@testable import converge

@Suite("Help texts, taken apart")
struct HelpTextTests {
    @Test("a text falls into its synopsis, paragraphs, headings and items")
    func parts() {
        let text = HelpText(
            """
            converge token USER [--expires 24h]
            converge token --check TOKEN

            Prints a token
            for USER.

              --expires DURATION    how long it
                                    is good for [24h]

            Listening:
              --port, --p    PORT    listen port
              (no flag)      SECRET  what is secret  and spaced

            Exit status: 0 done.

            """)
        #expect(text.synopsis == ["converge token USER [--expires 24h]", "converge token --check TOKEN"])
        #expect(
            text.blocks == [
                .paragraph("Prints a token for USER."),
                .items([.init(term: "--expires DURATION", variable: nil, meaning: "how long it is good for [24h]")]),
                .heading("Listening"),
                .items([
                    .init(term: "--port, --p", variable: "PORT", meaning: "listen port"),
                    .init(term: "(no flag)", variable: "SECRET", meaning: "what is secret  and spaced"),
                ]),
                .paragraph("Exit status: 0 done."),
            ])
    }

    @Test(
        "every command has a synopsis that names it, a line in the overview, and says all that its flags mean",
        arguments: Subcommand.allCases)
    func complete(_ command: Subcommand) {
        let text = HelpText(Usage.text(of: command))
        #expect(text.synopsis.first?.hasPrefix("converge \(command.rawValue)") == true)
        #expect(!Completions.Command(command).meaning.isEmpty)
        for item in text.items { #expect(!item.meaning.isEmpty, "\(item.term)") }
    }

    @Test("a setting's flag is completed with a value, a file or nothing, as its declaration says")
    func settings() throws {
        let serve = Completions.Command(.serve)
        func flag(_ name: String) throws -> Completions.Flag { try #require(serve.flags.first { $0.name == name }) }
        #expect(try flag("--port").takesValue && !flag("--port").takesFile)
        #expect(try flag("--db").takesFile && flag("--db-path").takesFile)
        #expect(try flag("--tls-key").takesFile)
        #expect(try !flag("--echo").takesValue)
        #expect(try !flag("--check").takesValue)
        // A secret itself has no flag.
        #expect(!serve.flags.contains { $0.name.contains("secret") && $0.takesValue && !$0.takesFile })
    }

    @Test(
        "a manual page protects what roff would take for its own", arguments: [Subcommand?.none] + Subcommand.allCases)
    func roff(_ command: Subcommand?) {
        let page = ManualPage(of: command).roff
        let requests = [".TH", ".SH", ".SS", ".PP", ".TP", ".BR", ".br", ".B", ".I"]
        for line in page.split(separator: "\n") where line.hasPrefix(".") || line.hasPrefix("'") {
            #expect(requests.contains { line == $0 || line.hasPrefix($0 + " ") }, "\(line)")
        }
        let escapes = page.indices.filter { page[$0] == "\\" }.map { page[page.index(after: $0)] }
        #expect(escapes.allSatisfy { "e-&f(".contains($0) })
        #expect(page.contains(".SH NAME\n"))
    }
}

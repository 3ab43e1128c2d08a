import ConvergeNode
import ConvergeTestSupport
import Foundation
import Testing

@testable import ConvergeTerminal
@testable import converge

/// Commands and their flags: `converge …`, scripts, and what is entered after a slash in `converge chat`.
@Suite("Papers: commands and flags") struct CommandTests {
    /// Programs that are not ours. What flags they take is theirs to know.
    private static let foreign: Set<String> = [
        "swift", "openssl", "apt-get", "systemctl", "docker", "useradd", "install", "sqlite3", "pg_dump", "rm", "kill",
        "ulimit", "jq", "tail", "cp", "editor", "nohup", "perf", "grep", "man", "echo", "ip", "chmod", "sleep",
        "export",
    ]

    /// These take what `converge serve` takes.
    private static let handingOn: Set<String> = ["scripts/start_server.sh"]

    private static func flags(of command: Subcommand) -> Set<String> {
        Set(Completions.Command(command).flags.map(\.name) + ["--help"])
    }

    /// The flags that the comment at the top of a script names, which is what it prints for `--help`.
    private static func flags(of script: String) -> Set<String> {
        let lines = ((try? Repository.text(script)) ?? "").components(separatedBy: "\n").dropFirst()
        let usage = lines.prefix { $0.hasPrefix("#") }.joined(separator: "\n")
        var flags = Set(usage.matches(of: /--[a-z][a-z-]*/).map { String($0.0) }).union(["--help"])
        if handingOn.contains(script) { flags.formUnion(Self.flags(of: .serve)) }
        return flags
    }

    private static let scripts = Repository.paths.filter { path in
        path == ".ci/run"
            || (path.hasSuffix(".sh") && ["scripts/", "cluster/", "packaging/"].contains { path.hasPrefix($0) })
    }

    /// All flags of ours: what a flag that stands alone may be.
    private static let allFlags = Subcommand.allCases.reduce(into: Set<String>()) { $0.formUnion(flags(of: $1)) }
        .union(scripts.reduce(into: Set<String>()) { $0.formUnion(flags(of: $1)) })

    private enum Program {
        case converge
        case script(String)
    }

    private static func program(_ word: String) -> Program? {
        if word == "converge" || word.hasSuffix("/converge") { return .converge }
        guard word.hasSuffix(".sh") || word.hasSuffix(".ci/run") else { return nil }
        let name = word.hasPrefix("./") ? String(word.dropFirst(2)) : word
        return scripts.first { $0 == name || $0.hasSuffix("/" + name) }.map { .script($0) }
    }

    /// The commands in a line of a shell, each as its words, and what its comment says in the same way.
    private static func commands(in line: String) -> (run: [[String]], told: [[String]]) {
        guard let comment = line.range(of: #"(^|\s)#(\s.*)?$"#, options: .regularExpression) else {
            return (words(of: line), [])
        }
        return (words(of: String(line[..<comment.lowerBound])), words(of: String(line[comment])))
    }

    private static func words(of line: String) -> [[String]] {
        var text = line
        for mark in ["$(", ")", "(", ";", "&&", "||", "|"] { text = text.replacing(mark, with: "\n") }
        return text.split(separator: "\n").map { command in
            command.split(separator: " ").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: "\"'[]`,:")) }
        }
    }

    /// What is wrong with a command; nil where nothing is, or it is none of ours.
    private static func problem(with words: [String]) -> String? {
        let flags = words.compactMap { $0.firstMatch(of: /^--[a-z][a-z-]*/).map { String($0.0) } }
        for (index, word) in words.enumerated() {
            guard let program = program(word) else { continue }
            let rest = words[(index + 1)...]
            let known: Set<String>
            switch program {
            case .script(let path): known = Self.flags(of: path)
            case .converge:
                guard let name = rest.first(where: { !$0.hasPrefix("-") }), name == rest.first else { return nil }
                guard let command = Subcommand(rawValue: name) else {
                    // A folder, a user or a word that stands for all of them.
                    return name.allSatisfy { $0.isLowercase } ? "there is no command \(name)" : nil
                }
                known = Self.flags(of: command)
            }
            let wrong = flags.filter { !known.contains($0) }
            return wrong.isEmpty ? nil : "\(word) \(rest.first ?? "") has no \(wrong.joined(separator: ", "))"
        }
        guard let first = words.first(where: { !$0.contains("=") }), !flags.isEmpty, !foreign.contains(first) else {
            return nil
        }
        guard first.hasPrefix("--") else { return "\(first) is no program that is known here, and has flags" }
        let wrong = flags.filter { !allFlags.contains($0) }
        return wrong.isEmpty ? nil : "nothing has \(wrong.joined(separator: ", "))"
    }

    @Test("every command of converge and of a script, and every flag that a paper gives it, exists")
    func named() {
        var seen = 0
        for paper in Papers.all {
            for piece in paper.pieces {
                let (run, told) = Self.commands(in: piece.text)
                func isOurs(_ words: [String]) -> Bool { words.contains { Self.program($0) != nil } }
                for words in run + told.filter(isOurs) {
                    if isOurs(words) { seen += 1 }
                    if let problem = Self.problem(with: words) { Issue.record("\(piece): \(problem)") }
                }
            }
        }
        #expect(seen > 150)
    }

    @Test("every command of converge has its row in docs/operations.md, and what stands there exists")
    func all() throws {
        let named = try Papers.operations.section("Commands").rows.flatMap { $0.code(in: 0) }
        #expect(named == Subcommand.allCases.map { "converge \($0.rawValue)" })
    }

    @Test("every flag of a setting that has a shorter name is told of")
    func aliases() throws {
        let text = try Papers.operations.section("Settings").text
        for alias in Setting.all.flatMap(\.aliases) { #expect(text.contains("`--\(alias)`"), "\(alias)") }
    }

    @Test("the commands of the terminal client are those of docs/chat.md")
    func slashes() throws {
        let rows = try Papers.chat.section("Commands").rows
        let spans = rows.flatMap { $0.code(in: 0) }.filter { $0.hasPrefix("/") && !$0.hasPrefix("//") }
        let named = Set(spans.map { String($0.dropFirst().prefix { $0.isLetter }) })
        #expect(named == Set(EnteredCommand.list.map(\.name)))
    }
}

import ConvergeNode
import ConvergeTestSupport
import Testing

/// Settings and other environment variables, wherever papers, packages and scripts name them.
@Suite("Papers: settings and variables") struct SettingTests {
    private static let settings = Set(Setting.all.map(\.variable))

    /// Variables of other programs than `converge serve`, by their home.
    private static let ofTools = Set(variables(of: Papers.contributing, "Variables"))
    private static let ofPrograms: Set<String> = ["CONVERGE_TOKEN"]

    private static func variables(of paper: Paper, _ section: String) -> [String] {
        ((try? paper.section(section).rows) ?? []).flatMap { $0.code(in: 0) }.filter { $0.hasPrefix("CONVERGE_") }
    }

    /// The names in a text. One with a star or a dash behind it stands for several.
    private static func names(in text: String) -> Set<String> {
        Set(text.matches(of: /\bCONVERGE_[A-Z0-9_]*[A-Z0-9]\b/).map { String($0.0) })
    }

    @Test("every CONVERGE_ variable that a paper or a package names is one that something reads")
    func named() throws {
        let known = Self.settings.union(Self.ofTools).union(Self.ofPrograms)
        var seen = 0
        for paper in Papers.all {
            for (index, line) in paper.lines.enumerated() {
                for name in Self.names(in: line) {
                    seen += 1
                    #expect(known.contains(name), "\(paper.path):\(index + 1): nothing reads \(name)")
                }
            }
        }
        #expect(seen > 150)
        for path in Papers.packaging {
            for name in Self.names(in: try Repository.text(path)) { #expect(known.contains(name), "\(path): \(name)") }
        }
    }

    @Test("the table of settings in docs/operations.md is what `converge help settings` prints")
    func table() throws {
        let section = try Papers.operations.section("Settings").text
        let table = section.split(separator: "\n").filter { $0.hasPrefix("|") }.joined(separator: "\n")
        #expect(table + "\n" == Settings.markdown)
    }

    @Test("what the programs read beside the settings is in docs/operations.md")
    func programs() throws {
        let sources = try Papers.texts(in: ["Sources/"], ".swift").values
        let read = sources.reduce(into: Set<String>()) { $0.formUnion(Self.names(in: $1)) }.subtracting(Self.settings)
        #expect(read == Self.ofPrograms)
        for name in Self.ofPrograms { #expect(try Papers.operations.section("Settings").text.contains(name)) }
    }

    @Test("every variable that scripts and tests read has its row in CONTRIBUTING.md, and every one there is read")
    func tools() throws {
        var read: Set<String> = []
        let scripts = Repository.paths.filter { path in
            !path.hasSuffix("/") && ["scripts/", "cluster/", ".ci/"].contains { path.hasPrefix($0) }
        }
        for path in scripts + ["Package.swift"] {
            if let text = try? Repository.text(path) { read.formUnion(Self.names(in: text)) }
        }
        for text in try Papers.texts(in: ["Tests/"], ".swift").values {
            // Those that are set are a node's, which the test starts.
            for match in text.matches(of: /environment\["(CONVERGE_[A-Z0-9_]+)"\]/)
            where !text[match.range.upperBound...].hasPrefix(" = ") { read.insert(String(match.1)) }
            for match in text.matches(of: /variable = "(CONVERGE_[A-Z0-9_]+)"/) { read.insert(String(match.1)) }
        }
        read.subtract(Self.settings)
        read.subtract(Self.ofPrograms)
        #expect(read.sorted() == Self.ofTools.sorted())
    }
}

import ConvergeTestSupport
import Testing

/// Names out of the program's code that the papers use: of types and their members, of log lines, of members of JSON.
///
/// A name counts that stands as code. The metrics have a suite of their own (`MetricNamesTests`), which compares their
/// table; here every other place is looked at, too.
@Suite("Papers: names out of the code") struct NameTests {
    /// The words of texts: runs of letters, digits and underscores.
    private static func words(_ texts: some Sequence<String>) -> Set<Substring> {
        var words: Set<Substring> = []
        for text in texts {
            for run in text.utf8.split(whereSeparator: { !isOfWord($0) }) { words.insert(Substring(run)) }
        }
        return words
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (97...122).contains(byte | 0x20) || byte == 95
    }

    private static func sources() throws -> [String: String] {
        try Papers.texts(in: ["Sources/", "Tests/", "examples/"], ".swift").filter {
            !$0.key.hasPrefix("Tests/Papers/")
        }
    }

    @Test("every type, function and property that a paper names exists")
    func code() throws {
        let words = Self.words(try Self.sources().values)
        var seen = 0
        for paper in Papers.all {
            for span in paper.spans {
                guard
                    let match = span.text.wholeMatch(of: /([A-Za-z][A-Za-z0-9]*(?:\.[a-z][A-Za-z0-9]*)*)(?:\(.*\))?/),
                    span.text.contains(/[a-z][A-Z]/), !span.text.contains(/\.(?:swift|md|sh)$/)
                else { continue }
                seen += 1
                for name in match.1.split(separator: ".") { #expect(words.contains(name), "\(span)") }
            }
        }
        #expect(seen > 150)
    }

    /// Names with underscores that are not the program's own.
    private static let foreign: Set<String> = [
        "synchronous_standby_names",  // PostgreSQL's
        "synchronous_commit",
    ]

    @Test("every name with underscores is a metric, or a word of the program or its scripts")
    func underscored() throws {
        let metrics = try Papers.operations.section("Metrics").rows.flatMap { $0.code(in: 0) }
            .map { String($0.prefix { $0 != "{" }) }
        #expect(metrics.count > 60)
        var known = Self.words(try Self.sources().values)
        known.formUnion(Self.words(try Papers.texts(in: ["scripts/", "cluster/"], ".sh").values))
        var seen = 0
        for paper in Papers.all {
            for span in paper.spans {
                let name = span.text.hasPrefix("converge_") ? String(span.text.dropFirst("converge_".count)) : span.text
                guard name.wholeMatch(of: /[a-z]+(?:_[a-z]+)+|[a-z_]+_total/) != nil else { continue }
                seen += 1
                let isMetric = metrics.contains(name)
                if name.hasSuffix("_total") || name != span.text {
                    #expect(isMetric, "\(span): no metric")
                } else {
                    #expect(isMetric || known.contains(name[...]) || Self.foreign.contains(name), "\(span)")
                }
            }
        }
        #expect(seen > 100)
    }

    @Test("every log line in docs/operations.md is written somewhere, and every one that a node writes is there")
    func logLines() throws {
        let rows = try Papers.operations.section("Logs").rows.filter { row in
            ["debug", "info", "warn", "error"].contains(row.cells[0])
        }
        // One that goes on with words of its own is named by its beginning.
        var named: [(event: String, isBeginning: Bool)] = []
        for row in rows {
            for match in row.cells[1].matches(of: /`([^`]+)`(…?)/) { named.append((String(match.1), !match.2.isEmpty)) }
        }
        #expect(named.count > 40)
        var written: Set<String> = []
        for text in try Papers.texts(in: ["Sources/Node/"], ".swift").values {
            for match in text.matches(
                of:
                    /(?:write\((?:\s*[^"\n]*,)?|line\(\s*[^"\n]*,|line\(\s*\.\w+,\s*\w+\s*\?|tell\(|\.debug\(|event:)\s*"([^"]+)"(?:\s*:\s*"([^"]+)")?/
            ) {
                written.insert(String(match.1))
                if let other = match.2 { written.insert(String(other)) }
            }
        }
        #expect(written.count > 50)
        func isOf(_ event: String) -> ((event: String, isBeginning: Bool)) -> Bool {
            { $0.isBeginning ? event.hasPrefix($0.event) : event == $0.event }
        }
        for event in written.sorted() {
            let isNamed = named.contains(where: isOf(event))
            #expect(isNamed, "not documented: \(event)")
        }
        for name in named {
            let isWritten = written.contains { isOf($0)(name) }
            #expect(isWritten, "nothing writes: \(name.event)")
        }
    }
}

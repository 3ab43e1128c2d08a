import ConvergeTestSupport
import Testing

/// Files and folders that the papers name. They may leave out the beginning of a path: `Core/LogHead.swift`.
@Suite("Papers: paths and scripts") struct PathTests {
    /// What looks like a file of the project and is none. (What begins with `../` is a link, see `LinkTests`.)
    private static let others: [String: String] = [
        "compare.py": "a tool that is given to scripts/bench.sh, and not part of the project"
    ]

    @Test("every file and folder that a paper names exists")
    func paths() throws {
        // From the root below a folder that is there, or with the ending of a file; not in the middle of a longer word.
        let named =
            /(?:^|[^\w\/.+*:$~-])(?:\.\/)?((?:Sources|Tests|docs|scripts|cluster|packaging|examples|\.ci)\/[\w.+*\/-]*[\w*\/]|(?:[\w.+*-]+\/)*[\w+*-]+\.(?:swift|md|sh|py|yml|json|svg|service|env)\b)/
        var seen = 0
        for paper in Papers.all {
            for (index, line) in paper.lines.enumerated() {
                for match in line.matches(of: named) {
                    guard Self.others[String(match.1)] == nil, !match.1.hasPrefix("../") else { continue }
                    seen += 1
                    let path = String(match.1)
                    #expect(Self.exists(path), "\(paper.path):\(index + 1): there is no \(path)")
                }
            }
        }
        #expect(seen > 200)
    }

    @Test("every folder of sources or tests that a paper names by its last parts exists")
    func folders() throws {
        var seen = 0
        for paper in Papers.all {
            for span in paper.spans where span.text.wholeMatch(of: /(?:[A-Z]\w*\/)+(?:[A-Z][\w+]*)?/) != nil {
                seen += 1
                let isThere =
                    Self.exists(span.text) || Self.exists(span.text + "/")
                    || Self.exists(span.text + ".swift")
                #expect(isThere, "\(span)")
            }
        }
        #expect(seen > 20)
    }

    @Test("every paper that sources, scripts and packages name exists")
    func fromOutside() throws {
        var texts = try Papers.texts(in: ["Sources/", "Tests/", "examples/"], ".swift")
        texts.merge(try Papers.texts(in: ["scripts/", "cluster/", "packaging/"], ".sh")) { $1 }
        for path in Papers.packaging { texts[path] = try Repository.text(path) }
        var seen = 0
        for (path, text) in texts.sorted(by: { $0.key < $1.key }) {
            for match in text.matches(
                of: /\b(docs\/[\w-]+\.md|(?:README|ARCHITECTURE|CONTRIBUTING|SECURITY)\.md)(?:#([\w-]+))?/)
            {
                seen += 1
                let target = String(match.1)
                #expect(Repository.paths.contains(target), "\(path): there is no \(target)")
                guard let anchor = match.2, Repository.paths.contains(target) else { continue }
                #expect(
                    try Papers.paper(target).anchors.contains(String(anchor)), "\(path): \(target) has no #\(anchor)")
            }
        }
        #expect(seen > 20)
    }

    @Test("every script has its row in CONTRIBUTING.md")
    func scripts() throws {
        let rows = try Papers.contributing.section("Scripts").rows
        let named = Set(rows.flatMap { $0.code(in: 0) })
        let folders = ["scripts/", "cluster/", "packaging/", ".ci/"]
        let scripts = Repository.paths.filter { path in
            guard folders.contains(where: { path.hasPrefix($0) }), !path.hasSuffix("/") else { return false }
            // The tools of scripts/bench are its own; those in packaging/debian are run by the package's installation.
            guard !path.hasPrefix("scripts/bench/"), !path.hasPrefix("packaging/debian/") else { return false }
            return path.hasSuffix(".sh") || path.hasSuffix(".py")
                || (try? Repository.text(path))?.hasPrefix("#!") == true
        }
        #expect(scripts.count > 25)
        #expect(named.sorted() == scripts.sorted())
    }

    private static let candidates = Repository.paths.map { path in
        (parts: path.split(separator: "/").map(String.init), isFolder: path.hasSuffix("/"))
    }

    /// Whether the path is that of a file or folder, or the end of one. A star stands for any part of a name.
    private static func exists(_ path: String) -> Bool {
        let wanted = path.split(separator: "/").map(String.init)
        return candidates.contains { candidate in
            if path.hasSuffix("/"), !candidate.isFolder { return false }
            let parts = candidate.parts
            return parts.count >= wanted.count && zip(parts.suffix(wanted.count), wanted).allSatisfy(matches)
        }
    }

    private static func matches(_ name: String, _ pattern: String) -> Bool {
        guard let star = pattern.firstIndex(of: "*") else { return name == pattern }
        let (before, after) = (pattern[..<star], pattern[pattern.index(after: star)...])
        return name.count >= before.count + after.count && name.hasPrefix(before) && name.hasSuffix(after)
    }
}

import ConvergeTestSupport
import Foundation
import Testing

/// Where the papers lead, and whether what they draw is what a reader sees.
@Suite("Papers: links and tables") struct LinkTests {
    @Test("every relative link leads to a file, and its anchor to a heading there")
    func links() throws {
        var seen = 0
        for paper in Papers.all + [Papers.changelog] {
            for link in paper.links where !link.text.contains("://") {
                seen += 1
                let parts = link.text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                let target = parts[0].isEmpty ? paper.path : Self.resolved(String(parts[0]), from: paper.path)
                let isThere = Repository.paths.contains { $0 == target || $0 == target + "/" }
                #expect(isThere, "\(link): there is no \(target)")
                guard parts.count == 2, isThere else { continue }
                let anchor = String(parts[1])
                #expect(try Papers.paper(target).anchors.contains(anchor), "\(link): \(target) has no #\(anchor)")
            }
        }
        #expect(seen > 100)
    }

    @Test("every paper is led to by the README, and code in it ends where it should")
    func papers() throws {
        let readme = try #require(Papers.all.first { $0.path == "README.md" })
        for paper in Papers.all + [Papers.changelog] {
            #expect(paper.unpaired.isEmpty, "a backtick without another: \(paper.unpaired)")
            guard paper.path != readme.path else { continue }
            #expect(readme.links.contains { $0.text == paper.path }, "\(paper.path)")
        }
    }

    @Test("every table has a head, and its rows have as many cells")
    func tables() {
        var seen = 0
        for paper in Papers.all + [Papers.changelog] {
            for table in paper.tables {
                seen += 1
                let isRuled = table.count > 1 && table[1].cells.allSatisfy { $0.contains(/^:?-{3,}:?$/) }
                #expect(isRuled, "\(table[0].place): a table without a head")
                for row in table where row.cells.count != table[0].cells.count {
                    Issue.record("\(row.place): \(row.cells.count) cells in a table of \(table[0].cells.count)")
                }
            }
        }
        #expect(seen > 30)
    }

    /// A path as a link in a paper names it, from the root.
    private static func resolved(_ target: String, from path: String) -> String {
        var folders = path.split(separator: "/").dropLast().map(String.init)
        for part in target.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = folders.popLast()
            default: folders.append(String(part))
            }
        }
        return folders.joined(separator: "/")
    }
}

import ConvergeStorage
import Foundation
import Testing

@testable import ConvergeNode

/// The names of metrics, wherever they stand: what a node exposes, what is documented, what alerts and the dashboard ask.
@Suite("Metric names") struct MetricNamesTests {
    private static func file(_ path: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    /// What stands below a heading, up to the next.
    private static func section(_ heading: String, of path: String) throws -> String {
        let parts = try file(path).components(separatedBy: "\n## \(heading)\n")
        guard parts.count == 2 else { throw CocoaError(.fileReadCorruptFile) }
        return parts[1].components(separatedBy: "\n## ")[0]
    }

    /// The families that a node exposes with everything that can be configured, and their types.
    private static let exposed: [String: String] = {
        let metrics = Metrics(depths: QueueDepths(), sizes: { StoreSizes(database: 1, writeAheadLog: 1) })
        metrics.certificateEnd.set(1)
        metrics.publish(ClusterStatus.sample(peers: 1))
        var families: [String: String] = [:]
        for line in metrics.exposition().split(separator: "\n") where line.hasPrefix("# TYPE ") {
            let words = line.split(separator: " ")
            families[String(words[2])] = String(words[3])
        }
        return families
    }()

    /// As they stand in the documents: without `converge_`.
    private static func name(_ name: Substring) -> String {
        name.hasPrefix("process_") ? String(name) : "converge_" + name
    }

    @Test("every metric is in docs/operations.md with its type, and every one that is there exists")
    func documented() throws {
        let section = try Self.section("Metrics", of: "docs/operations.md")
        var documented: [String: String] = [:]
        for row in section.split(separator: "\n") where row.hasPrefix("| `") {
            let cells = row.split(separator: "|")
            let type = cells[1].trimmingCharacters(in: .whitespaces)
            for match in cells[0].matches(of: /`([a-z_]+)(?:\{[a-z_,]+\})?`/) {
                documented[Self.name(match.1)] = type
            }
        }
        #expect(documented.count > 60)
        for (name, type) in Self.exposed.sorted(by: { $0.key < $1.key }) where documented[name] != type {
            Issue.record("\(name) is a \(type), and documented as \(documented[name] ?? "nothing")")
        }
        for name in documented.keys.sorted() where Self.exposed[name] == nil {
            Issue.record("\(name) is documented, and no metric")
        }
    }

    @Test("the counters in ARCHITECTURE.md's table of bounds exist")
    func bounds() throws {
        let section = try Self.section("Bounds", of: "ARCHITECTURE.md").components(separatedBy: "\nIn `converge chat`")[
            0]
        var seen = 0
        for row in section.split(separator: "\n") where row.hasPrefix("| ") {
            let cells = row.split(separator: "|", omittingEmptySubsequences: false)
            guard cells.count > 4 else { continue }
            for match in cells[3].matches(of: /`([a-z_]+)`/) where match.1 != "left_out" {
                seen += 1
                #expect(Self.exposed[Self.name(match.1)] != nil, "\(match.1)")
            }
        }
        #expect(seen > 30)
    }

    @Test(
        "what alerts and the dashboard ask for is what a node exposes",
        arguments: ["packaging/alerts.yml", "packaging/grafana-dashboard.json"])
    func asked(_ path: String) throws {
        let text = try Self.file(path)
        var asked: Set<String> = []
        for match in text.matches(of: /\b((?:converge|process)_[a-z_]+)\b/) { asked.insert(String(match.1)) }
        #expect(asked.count > 15)
        for name in asked.sorted() {
            let isOfHistogram = ["_bucket", "_sum", "_count"].contains {
                name.hasSuffix($0) && Self.exposed[String(name.dropLast($0.count))] == "histogram"
            }
            #expect(Self.exposed[name] != nil || isOfHistogram, "\(name)")
        }
    }

    @Test("the dashboard is one that Grafana reads: panels with queries, on a source that is chosen there")
    func dashboard() throws {
        let text = try Self.file("packaging/grafana-dashboard.json")
        let dashboard = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(dashboard["title"] as? String == "Converge" && dashboard["uid"] as? String == "converge")
        let panels = try #require(dashboard["panels"] as? [[String: Any]])
        var ids: Set<Int> = []
        for panel in panels {
            #expect(ids.insert(try #require(panel["id"] as? Int)).inserted)
            guard panel["type"] as? String != "row" else { continue }
            let source = try #require(panel["datasource"] as? [String: String])
            #expect(source == ["type": "prometheus", "uid": "${datasource}"])
            let targets = try #require(panel["targets"] as? [[String: Any]])
            #expect(!targets.isEmpty && targets.allSatisfy { ($0["expr"] as? String)?.isEmpty == false })
        }
        #expect(panels.count > 15)
    }
}

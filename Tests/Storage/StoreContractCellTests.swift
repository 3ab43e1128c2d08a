// The contract of documents: whatever is done to cells, in whatever batches, a store has what their rules make of it.

import ConvergeCRDT
import ConvergeStorage
import ConvergeTestSupport
import ConvergeWire
import Testing

@Suite("Store contract: cells")
struct StoreContractCellTests {
    private static let documents: [DocumentID] = DocumentKind.allCases.flatMap { kind in
        [("room", "d"), ("room", "e"), ("", "")].map { DocumentID(room: Text($0.0), kind: kind, name: Text($0.1)) }
    }

    /// Keys that an index, a prefix or a collation may stumble over.
    private static let keys: [Text] = [
        "", "a", "ab", "a\u{0}b", "é", "e\u{301}", "A", Text(String(repeating: "k", count: 31)),
        Text(String(repeating: "k", count: 32)), Text(String(repeating: "k", count: 33)),
        Text(String(repeating: "long", count: 2_000)),
    ]

    private static func change(_ random: inout SplitMix64, seq: UInt64) -> DocumentChange {
        let document = documents[random.below(documents.count)]
        let replicas: [ReplicaID] = [.low, .a, .b, .c]
        let replica = replicas[random.below(4)]
        let dot = Dot(replica: replica, seq: seq)
        let timestamp = HybridTimestamp(rawValue: UInt64(random.below(40)))
        var change = DocumentChange(document, touched: [dot])
        for _ in 0..<(1 + random.below(2)) {
            let key = keys[random.below(keys.count)]
            switch document.kind.rule {
            case .observed:
                for _ in 0..<random.below(3) {
                    let gone = Dot(replica: replicas[random.below(4)], seq: UInt64(random.below(Int(seq) + 1)))
                    change.removed.append(CellPlace(key: key, slot: gone))
                }
                let value: CellValue = random.chance(50) ? .none : .text(keys[random.below(keys.count)])
                if random.chance(70) {
                    change.put.append(DocumentCell(key: key, value: value, dot: dot, timestamp: timestamp))
                }
            case .latest:
                let value: CellValue = random.chance(30) ? .none : .text(keys[random.below(keys.count)])
                change.put.append(DocumentCell(key: key, value: value, dot: dot, timestamp: timestamp))
            case .greatest:
                let number = random.next() >> UInt64(random.below(64))
                change.put.append(
                    DocumentCell(key: key, value: .number(number), dot: dot, timestamp: timestamp))
            }
        }
        return change
    }

    @Test(
        "after any changes in any batches each document has the cells that its rule makes of them",
        arguments: StoreUnderTest.available, UInt64(1)...4)
    func random(_ kind: StoreUnderTest, seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let fresh = try kind.make()
        var (writer, _) = try fresh.open()
        var expected: [DocumentID: DocumentCells] = [:]
        var seq: UInt64 = 0
        for _ in 0..<12 {
            for _ in 0..<(1 + random.below(3)) {
                var batch = Batch()
                for _ in 0..<random.below(12) {
                    seq += 1
                    let change = Self.change(&random, seq: seq)
                    batch.effects.append(.cells(change))
                    let rule = change.document.kind.rule
                    for place in change.removed { expected[change.document]?.remove(place) }
                    for cell in change.put {
                        expected[change.document, default: DocumentCells(rule: rule)].put(cell)
                    }
                }
                try writer.append(batch)
            }
            writer.close()
            let recovered: Recovered
            (writer, recovered) = try fresh.open()
            let cells = expected.flatMap { document, cells in cells.sorted.map { StoredCell($0, of: document) } }
            #expect(Set(recovered.documents) == Set(cells), "seed \(seed)")
            #expect(recovered.documents.count == cells.count, "seed \(seed)")
            for (document, held) in Dictionary(grouping: recovered.documents, by: \.document) {
                #expect(held.map(\.cell) == expected[document]?.sorted, "seed \(seed), order of \(document)")
            }
        }
        writer.close()
        #expect(expected.values.contains { $0.keys.contains { !$0.isEmpty } }, "seed \(seed)")
    }
}

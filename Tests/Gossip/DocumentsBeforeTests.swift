import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire
import Testing

@testable import ConvergeGossip

@Suite("Documents before what is not settled") struct DocumentsBeforeTests {
    private static let elements: [Text] = ["a", "b", "c"]

    private func write(_ documents: inout Documents, _ seq: UInt64, _ random: inout SplitMix64) throws {
        let replica = ReplicaID(rawValue: UInt64(1 + random.below(2)))
        let kind = [DocumentKind.orSet, .register, .counter][random.below(3)]
        let name: Text = random.chance(50) ? "one" : "two"
        let document = DocumentID(room: random.chance(80) ? "room" : "other", kind: kind, name: name)
        let element = Self.elements[random.below(3)]
        let delta: DocumentDelta =
            switch kind {
            case .orSet:
                random.chance(50)
                    ? try documents.deltaForAdd(element, to: document)
                    : documents.deltaForRemove(element, from: document)
            case .register: try documents.deltaForSet(random.chance(30) ? nil : element, in: document)
            default: try documents.deltaForCount(Int64(random.below(9)) - 4, in: document, by: replica)
            }
        _ = documents.apply(
            delta, to: document, dot: Dot(replica: replica, seq: seq), timestamp: HybridTimestamp(rawValue: seq))
    }

    @Test(
        "what stood before is what a rollback would leave, for documents that came, changed and went", arguments: 1...60
    )
    func random(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var documents = Documents()
        var seq: UInt64 = 0
        var differed = 0
        for _ in 0..<20 {
            for _ in 0..<random.below(6) {
                seq += 1
                try write(&documents, seq, &random)
            }
            documents.settle(through: documents.mark)
            for _ in 0..<random.below(8) {
                seq += 1
                try write(&documents, seq, &random)
            }
            let before = documents.beforeUnsettled
            var rolledBack = documents
            rolledBack.rollBack(to: documents.settled)
            for room: Text in ["room", "other"] {
                let listed = documents.documents(in: room, before: before)
                let expected = rolledBack.documents(in: room)
                #expect(listed.map { "\($0)" } == expected.map { "\($0)" }, "seed \(seed)")
                for name: Text in ["one", "two"] {
                    let set = DocumentID(room: room, kind: .orSet, name: name)
                    let register = DocumentID(room: room, kind: .register, name: name)
                    let counter = DocumentID(room: room, kind: .counter, name: name)
                    #expect(documents.elements(of: set, before: before) == rolledBack.elements(of: set), "seed \(seed)")
                    #expect(
                        documents.text(of: register, before: before) == rolledBack.text(of: register), "seed \(seed)")
                    #expect(
                        documents.count(of: counter, before: before) == rolledBack.count(of: counter), "seed \(seed)")
                    if documents.elements(of: set) != rolledBack.elements(of: set) { differed += 1 }
                }
            }
            if random.chance(50) { documents.rollBack(to: documents.settled) }
        }
        #expect(differed > 0, "seed \(seed) met no difference")
    }
}

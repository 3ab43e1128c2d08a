import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

@Suite struct DocumentsCounterTests {
    private let votes = DocumentID(room: "dev", kind: .counter, name: "votes")
    private let ann = ReplicaID(rawValue: 1)
    private let bob = ReplicaID(rawValue: 2)

    private func load(
        _ replica: ReplicaID, _ totals: CounterTotals, seq: UInt64 = 1, into documents: inout Documents
    ) {
        documents.load(totals, of: votes, dot: Dot(replica: replica, seq: seq), timestamp: .zero)
    }

    private func apply(
        _ delta: DocumentDelta, by replica: ReplicaID, _ seq: UInt64, to documents: inout Documents
    ) -> DocumentShown {
        documents.apply(delta, to: votes, dot: Dot(replica: replica, seq: seq), timestamp: .zero)
    }

    @Test("a delta carries the replica's totals after it, and the counter is the sum of all")
    func totals() throws {
        var documents = Documents()
        #expect(documents.count(of: votes) == nil)
        var delta = try documents.deltaForCount(5, in: votes, by: ann)
        #expect(delta == .count(amount: 5, totals: CounterTotals(up: 5)))
        #expect(apply(delta, by: ann, 1, to: &documents) == .counted(5))
        delta = try documents.deltaForCount(-7, in: votes, by: ann)
        #expect(delta == .count(amount: -7, totals: CounterTotals(up: 5, down: 7)))
        #expect(apply(delta, by: ann, 2, to: &documents) == .counted(-2))
        delta = try documents.deltaForCount(1, in: votes, by: bob)
        #expect(delta == .count(amount: 1, totals: CounterTotals(up: 1)))
        #expect(apply(delta, by: bob, 1, to: &documents) == .counted(-1))
        #expect(documents.count(of: votes) == -1)
        #expect(documents.count(of: DocumentID(room: "ops", kind: .counter, name: "votes")) == nil)
    }

    @Test("totals that are taken up again, or behind later ones, change nothing")
    func idempotent() {
        var documents = Documents()
        let early = DocumentDelta.count(amount: 5, totals: CounterTotals(up: 5))
        let late = DocumentDelta.count(amount: 3, totals: CounterTotals(up: 8, down: 2))
        for delta in [late, early, late, early] {
            #expect(apply(delta, by: ann, 1, to: &documents) == .counted(6))
        }
    }

    @Test("a counter stays a document whatever it stands at, and counts for the room's limit")
    func limit() throws {
        var documents = Documents(limits: DocumentLimits(documentsPerRoom: 1))
        let start = documents.mark
        let delta = try documents.deltaForCount(0, in: votes, by: ann)
        #expect(apply(delta, by: ann, 1, to: &documents) == .counted(0))
        #expect(documents.documentCount == 1 && documents.elementCount == 0)
        let second = DocumentID(room: "dev", kind: .counter, name: "second")
        #expect(throws: DocumentRefusal.documentFull) { try documents.deltaForCount(1, in: second, by: ann) }
        #expect(throws: DocumentRefusal.documentFull) {
            try documents.deltaForAdd("x", to: DocumentID(room: "dev", kind: .orSet, name: "votes"))
        }
        #expect(try documents.deltaForCount(1, in: votes, by: bob) == .count(amount: 1, totals: CounterTotals(up: 1)))
        documents.rollBack(to: start)
        #expect(documents.count(of: votes) == nil && documents.documentCount == 0)
        #expect(documents.documents(in: "dev").isEmpty)
        #expect(try documents.deltaForCount(1, in: second, by: ann) == .count(amount: 1, totals: CounterTotals(up: 1)))
    }

    @Test("an amount or a total that would be too large is refused")
    func overflow() throws {
        var documents = Documents()
        for amount in [Int64.min, -DocumentDelta.largestAmount - 1, DocumentDelta.largestAmount + 1, .max] {
            #expect(throws: DocumentRefusal.counterOverflow) { try documents.deltaForCount(amount, in: votes, by: ann) }
        }
        _ = try documents.deltaForCount(DocumentDelta.largestAmount, in: votes, by: ann)
        _ = try documents.deltaForCount(-DocumentDelta.largestAmount, in: votes, by: ann)
        let limit = CounterTotals.limit
        load(ann, CounterTotals(up: limit - 5, down: limit - 3), into: &documents)
        #expect(
            try documents.deltaForCount(5, in: votes, by: ann)
                == .count(amount: 5, totals: CounterTotals(up: limit, down: limit - 3)))
        #expect(
            try documents.deltaForCount(-3, in: votes, by: ann)
                == .count(amount: -3, totals: CounterTotals(up: limit - 5, down: limit)))
        #expect(throws: DocumentRefusal.counterOverflow) { try documents.deltaForCount(6, in: votes, by: ann) }
        #expect(throws: DocumentRefusal.counterOverflow) { try documents.deltaForCount(-4, in: votes, by: ann) }
        _ = try documents.deltaForCount(6, in: votes, by: bob)
        // Totals that no build of ours writes, read from a store, are refused a further write all the same.
        load(ann, CounterTotals(up: .max, down: 0), into: &documents)
        #expect(throws: DocumentRefusal.counterOverflow) { try documents.deltaForCount(1, in: votes, by: ann) }
    }

    @Test("more than a number holds is shown as the nearest one, and nothing is lost by it")
    func clamped() {
        var documents = Documents()
        let most = CounterTotals(up: CounterTotals.limit)
        for replica in UInt64(1)...3 { load(ReplicaID(rawValue: replica), most, into: &documents) }
        #expect(documents.count(of: votes) == .max)
        let taken = CounterTotals(up: 0, down: CounterTotals.limit)
        for replica in UInt64(4)...5 { load(ReplicaID(rawValue: replica), taken, into: &documents) }
        #expect(documents.count(of: votes) == 1 << 62)
        for replica in UInt64(6)...9 { load(ReplicaID(rawValue: replica), taken, into: &documents) }
        #expect(documents.count(of: votes) == .min)
    }

    @Test("loads the cells of all replicas in any order")
    func loads() throws {
        let rows = [
            (ann, CounterTotals(up: 9, down: 1), UInt64(4)), (bob, CounterTotals(up: 0, down: 3), 1),
            (ann, CounterTotals(up: 2), 1),
        ]
        for order in [rows, rows.reversed()] {
            var documents = Documents()
            for (replica, totals, seq) in order { load(replica, totals, seq: seq, into: &documents) }
            #expect(documents.count(of: votes) == 5)
            #expect(documents.documentCount == 1 && documents.unsettledCount == 0)
            #expect(
                try documents.deltaForCount(1, in: votes, by: ann)
                    == .count(amount: 1, totals: CounterTotals(up: 10, down: 1)))
        }
    }

    @Test("the documents of a room are listed by name and kind, in the order of bytes")
    func listed() throws {
        var documents = Documents()
        let ids: [DocumentID] = [
            .init(room: "dev", kind: .counter, name: "b"), .init(room: "dev", kind: .orSet, name: "b"),
            .init(room: "ops", kind: .orSet, name: "a"), .init(room: "dev", kind: .register, name: "b"),
            .init(room: "dev", kind: .register, name: "é"), .init(room: "dev", kind: .counter, name: "B"),
        ]
        for (seq, id) in ids.enumerated() {
            let delta: DocumentDelta =
                switch id.kind {
                case .orSet: .add(element: "x", replacing: [])
                case .register: .set(value: nil)
                default: .count(amount: 0, totals: CounterTotals())
                }
            _ = documents.apply(delta, to: id, dot: Dot(replica: ann, seq: UInt64(seq) + 1), timestamp: .zero)
        }
        #expect(
            documents.documents(in: "dev").map { "\($0.name) \($0.kind)" }
                == ["B counter", "b orSet", "b register", "b counter", "é register"])
        #expect(documents.documents(in: "none").isEmpty)
        _ = documents.apply(
            documents.deltaForRemove("x", from: ids[1]), to: ids[1], dot: Dot(replica: ann, seq: 9), timestamp: .zero)
        #expect(documents.documents(in: "dev").count == 4)
    }
}

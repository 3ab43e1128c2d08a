import ConvergeTestSupport
import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

/// The reference itself, on histories small enough to know what comes of them.
@Suite struct DocumentsReferenceTests {
    private let list = DocumentID(room: "dev", kind: .orSet, name: "d")
    private let topic = DocumentID(room: "dev", kind: .register, name: "d")
    private let votes = DocumentID(room: "dev", kind: .counter, name: "d")

    private func dot(_ replica: UInt64, _ seq: UInt64) -> Dot { Dot(replica: ReplicaID(rawValue: replica), seq: seq) }

    private func entry(
        _ dot: Dot, at milliseconds: UInt64, knowing dependencies: [Dot] = [], _ delta: DocumentDelta
    ) -> Entry {
        let payload = DocumentPayload(name: "d", user: "u", displayName: "u", delta: delta)
        var entry = Entry(
            dot: dot, timestamp: HybridTimestamp(milliseconds: milliseconds), kind: .document, room: "dev",
            payload: payload.encoded)
        entry.dependencies = dependencies
        return entry
    }

    /// Two replicas add an element; the second knows the first's add from its second entry on, and removes by its third.
    private var history: [Entry] {
        var message = Entry(
            dot: dot(2, 2), timestamp: HybridTimestamp(milliseconds: 5), kind: .message, room: "dev", payload: [])
        message.dependencies = [dot(1, 1)]
        return [
            entry(dot(1, 1), at: 1, .add(element: "x", replacing: [])),
            entry(dot(2, 1), at: 2, .add(element: "y", replacing: [])), message,
            entry(dot(2, 3), at: 6, .remove(element: "x", observed: [])),
            entry(dot(1, 2), at: 7, .set(value: "late")),
            entry(dot(2, 4), at: 4, .set(value: "early")),
            entry(dot(1, 3), at: 8, .count(amount: 5, totals: CounterTotals())),
            entry(dot(2, 5), at: 8, .count(amount: -7, totals: CounterTotals())),
        ]
    }

    @Test("entries in any order, and more than once, make the same documents")
    func anyOrder() {
        var random = SplitMix64(seed: 4)
        for _ in 0..<50 {
            var order = history + history
            for at in order.indices { order.swapAt(at, random.below(order.count)) }
            var reference = DocumentsReference()
            for entry in order { reference.insert(entry) }
            #expect(reference.elements(of: list) == ["y"])
            #expect(reference.value(of: topic) == "late")
            #expect(reference.counter(of: votes) == -2)
            #expect(reference.documents == [list, topic, votes])
        }
    }

    @Test("what holds at a vector is made of its entries alone")
    func within() {
        var reference = DocumentsReference()
        for entry in history { reference.insert(entry) }
        let vector = VersionVector([dot(1, 3), dot(2, 2)])
        #expect(reference.elements(of: list, within: vector) == ["x", "y"])
        #expect(reference.counter(of: votes, within: vector) == 5)
        #expect(reference.value(of: topic, within: VersionVector([dot(2, 4)])) == "early")
        #expect(reference.value(of: topic, within: VersionVector()) == nil)
        #expect(reference.counter(of: votes, within: VersionVector()) == nil)
    }

    @Test("an add that no remove knows stays, whatever dots the remove names")
    func definition() {
        var reference = DocumentsReference()
        reference.insert(entry(dot(1, 1), at: 1, .add(element: "x", replacing: [])))
        reference.insert(entry(dot(2, 1), at: 9, .remove(element: "x", observed: [dot(1, 1)])))
        #expect(reference.elements(of: list) == ["x"])
        reference.insert(entry(dot(1, 2), at: 10, .remove(element: "x", observed: [])))
        #expect(reference.elements(of: list) == [])
        // A new add stands by itself, and only in its own document.
        reference.insert(entry(dot(1, 3), at: 11, .add(element: "x", replacing: [])))
        #expect(reference.elements(of: list) == ["x"])
        #expect(reference.elements(of: DocumentID(room: "ops", kind: .orSet, name: "d")) == [])
    }

    @Test("what can't be interpreted changes nothing, and comes to count when it is whole")
    func uninterpreted() {
        var reference = DocumentsReference()
        let whole = entry(dot(1, 1), at: 1, .add(element: "x", replacing: []))
        var unknown = whole
        unknown.kind = EntryKind(rawValue: 200)
        var newer = whole
        newer.payload[0] = 2
        var erased = whole
        erased.flags.insert(.redacted)
        erased.payload = Array(repeating: 0, count: 32)
        for entry in [unknown, newer, erased] {
            reference.insert(entry)
            #expect(reference.documents == [])
        }
        reference.insert(whole)
        reference.insert(erased)
        #expect(reference.elements(of: list) == ["x"])
    }
}

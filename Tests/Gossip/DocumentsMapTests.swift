import ConvergeCRDT
import ConvergeGossip
import ConvergeTestSupport
import ConvergeWire
import Testing

/// Maps: fields with a value each, of what was written at once the latest.
@Suite struct DocumentsMapTests {
    private let map = DocumentID(room: "dev", kind: .map, name: "map")
    private let one = ReplicaID(rawValue: 1)
    private let two = ReplicaID(rawValue: 2)

    private func dot(_ replica: ReplicaID, _ seq: UInt64) -> Dot { Dot(replica: replica, seq: seq) }

    private func delta(_ field: Text, _ value: Text?, of documents: Documents) throws -> DocumentDelta {
        try documents.delta(
            of: DocumentWrite(value == nil ? .remove : .set, key: field, value: value), to: map, by: one)
    }

    private func fields(_ documents: Documents) -> [String] {
        guard case .fields(let fields) = documents.value(of: map) else { return ["no fields"] }
        return fields.map { "\($0.name): \($0.value)" }
    }

    @Test("a write takes the place of what its writer saw, and a remove leaves nothing behind")
    func writes() throws {
        var documents = Documents()
        #expect(fields(documents) == [])
        for (seq, field, value) in [(1, "b", "1"), (2, "a", "2"), (3, "b", "3")] as [(UInt64, Text, Text)] {
            let delta = try delta(field, value, of: documents)
            #expect(delta.observed == (seq == 3 ? [dot(one, 1)] : []))
            let shown = documents.apply(
                delta, to: map, dot: dot(one, seq), timestamp: HybridTimestamp(rawValue: seq))
            #expect(shown == .asWritten)
        }
        #expect(fields(documents) == ["a: 2", "b: 3"])
        #expect(documents.documentCount == 1 && documents.elementCount == 2)
        for (seq, field) in [(4, "a"), (5, "b")] as [(UInt64, Text)] {
            let delta = try delta(field, nil, of: documents)
            let shown = documents.apply(
                delta, to: map, dot: dot(one, seq), timestamp: HybridTimestamp(rawValue: seq))
            #expect(shown == .asWritten)
        }
        #expect(fields(documents) == [] && documents.documentCount == 0 && documents.digest == 0)
    }

    @Test("of what was written at once the latest is shown, and an earlier one stands again when that is taken away")
    func concurrent() throws {
        var documents = Documents()
        let early = DocumentDelta(.set, of: .map, key: "f", value: "early")
        let late = DocumentDelta(.set, of: .map, key: "f", value: "late")
        func apply(_ delta: DocumentDelta, _ dot: Dot, at time: UInt64) -> DocumentShown {
            documents.apply(delta, to: map, dot: dot, timestamp: HybridTimestamp(rawValue: time))
        }
        #expect(apply(late, dot(two, 1), at: 9) == .asWritten)
        #expect(apply(early, dot(one, 1), at: 5) == .hidden)
        #expect(fields(documents) == ["f: late"])
        // Whoever writes this had seen the late one alone.
        let mark = documents.mark
        let gone = DocumentDelta(.remove, of: .map, key: "f", observed: [dot(two, 1)])
        #expect(apply(gone, dot(two, 2), at: 12) == .revealed("early"))
        #expect(fields(documents) == ["f: early"])
        documents.rollBack(to: mark)
        #expect(fields(documents) == ["f: late"])
        let other = DocumentDelta(.remove, of: .map, key: "f", observed: [dot(one, 1)])
        #expect(apply(other, dot(one, 2), at: 12) == .hidden)
        // The next write here takes the place of all.
        let next = try delta("f", "next", of: documents)
        #expect(next.observed == [dot(two, 1)])
        #expect(apply(next, dot(one, 3), at: 13) == .asWritten)
        #expect(fields(documents) == ["f: next"])
    }

    @Test("a field more than a document may have is refused; one that is there is not, nor is a remove")
    func limit() throws {
        var documents = Documents(limits: DocumentLimits(elementsPerDocument: 1))
        _ = documents.apply(
            try delta("a", "1", of: documents), to: map, dot: dot(one, 1), timestamp: HybridTimestamp(rawValue: 1))
        #expect(throws: DocumentRefusal.documentFull) { try delta("b", "1", of: documents) }
        _ = try delta("a", "2", of: documents)
        _ = try delta("b", nil, of: documents)
    }

    @Test(
        "replicas that write and remove fields at once hold what the writes make, in any causal order",
        arguments: 1...40)
    func converge(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var replicas = Array(repeating: Documents(), count: 3)
        var known = Array(repeating: Set<Int>(), count: 3)
        var writes: [(delta: DocumentDelta, dot: Dot, time: HybridTimestamp, past: Set<Int>)] = []
        var seqs: [UInt64] = [0, 0, 0]
        func ready(_ at: Int) -> [Int] {
            writes.indices.filter { !known[at].contains($0) && writes[$0].past.isSubset(of: known[at]) }
        }
        func take(_ write: Int, _ at: Int) {
            let (delta, dot, time, _) = writes[write]
            _ = replicas[at].apply(delta, to: map, dot: dot, timestamp: time)
            known[at].insert(write)
        }
        for step in 0..<60 {
            let at = random.below(3)
            let waiting = ready(at)
            if !waiting.isEmpty, random.chance(50) {
                take(waiting[random.below(waiting.count)], at)
                continue
            }
            seqs[at] += 1
            let value: Text? = random.chance(30) ? nil : Text("\(step)")
            let delta = try delta(["f", "g"][random.below(2)], value, of: replicas[at])
            // Later than all that its writer has seen, as a hybrid clock sees to.
            let past = known[at].map { writes[$0].time.rawValue }.max() ?? 0
            let time = HybridTimestamp(rawValue: past + 1 + UInt64(random.below(5)))
            writes.append((delta, dot(ReplicaID(rawValue: UInt64(at) + 1), seqs[at]), time, known[at]))
            take(writes.count - 1, at)
        }
        for at in 0..<3 { while let next = ready(at).randomElement(using: &random) { take(next, at) } }
        var expected: [Text: (time: HybridTimestamp, dot: Dot, value: Text)] = [:]
        for (number, write) in writes.enumerated() {
            guard let value = write.delta.value else { continue }
            if writes.contains(where: { $0.past.contains(number) && $0.delta.key == write.delta.key }) { continue }
            if let held = expected[write.delta.key], (write.time, write.dot) < (held.time, held.dot) { continue }
            expected[write.delta.key] = (write.time, write.dot, value)
        }
        for documents in replicas {
            #expect(
                fields(documents) == expected.keys.sorted().map { "\($0): \(expected[$0]?.value ?? "")" },
                "seed \(seed)")
            #expect(documents.digest == replicas[0].digest, "seed \(seed)")
        }
    }
}

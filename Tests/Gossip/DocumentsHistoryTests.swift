import ConvergeTestSupport
import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

/// Random histories, in which every step is compared with `DocumentsModel`, and with `DocumentsReference` where the
/// entries that a replica knows are what a vector covers.
@Suite struct DocumentsHistoryTests {
    private static let sets: [DocumentID] = [
        .init(room: "dev", kind: .orSet, name: "list"), .init(room: "ops", kind: .orSet, name: "list"),
    ]
    private static let registers: [DocumentID] = [
        .init(room: "dev", kind: .register, name: "list"), .init(room: "ops", kind: .register, name: "topic"),
    ]
    private static let counters: [DocumentID] = [
        .init(room: "dev", kind: .counter, name: "list"), .init(room: "ops", kind: .counter, name: "votes"),
    ]
    private static let elements: [Text] = ["a", "b", "c"]

    /// A few replicas, each with its documents and the numbers of the writes it knows.
    private struct Cluster {
        var random: SplitMix64
        var model = DocumentsModel()
        var deltas: [DocumentDelta] = []
        var documents: [Documents]
        var known: [Set<Int>]
        var seqs: [UInt64]
        var moment: UInt64 = 0
        /// What each replica's last entry said it depended on.
        var told: [VersionVector]
        var reference = DocumentsReference()
        /// The digest that each set of writes was first seen to make.
        var digests: [Set<Int>: UInt64] = [:]

        init(seed: UInt64, replicas: Int, planted: PlantedFaults = []) {
            random = SplitMix64(seed: seed)
            documents = Array(repeating: Documents(planted: planted), count: replicas)
            known = Array(repeating: [], count: replicas)
            seqs = Array(repeating: 0, count: replicas)
            told = Array(repeating: VersionVector(), count: replicas)
        }

        func vector(of replica: Int) -> VersionVector { VersionVector(known[replica].map { model.writes[$0].dot }) }

        /// A write of its own at one replica: the delta made of what it sees, applied there.
        mutating func write(at replica: Int) throws -> String? {
            let element = elements[random.below(elements.count)]
            let set = sets[random.below(sets.count)]
            let register = registers[random.below(registers.count)]
            let counter = counters[random.below(counters.count)]
            let amount = Int64(random.below(100)) - 40
            seqs[replica] += 1
            moment += UInt64(random.below(2))
            let dot = Dot(replica: ReplicaID(rawValue: UInt64(replica)), seq: seqs[replica])
            let value: Text? = random.chance(30) ? nil : Text("\(replica) \(seqs[replica])")
            let (document, deed, delta): (DocumentID, DocumentsModel.Write.Deed, DocumentDelta) =
                switch random.below(7) {
                case 0, 1: (set, .add(element), try documents[replica].deltaForAdd(element, to: set))
                case 2, 3: (set, .remove(element), documents[replica].deltaForRemove(element, from: set))
                case 4: (register, .set(value), try documents[replica].deltaForSet(value, in: register))
                default:
                    try {
                        let delta = try documents[replica].deltaForCount(amount, in: counter, by: dot.replica)
                        guard delta.amount == amount else { throw DocumentRefusal.counterOverflow }
                        return (counter, .count(delta.totals), delta)
                    }()
                }
            // Distinct by seq where one replica writes twice at a moment, as a hybrid clock would.
            let timestamp = HybridTimestamp(milliseconds: moment, counter: UInt16(seqs[replica]))
            model.writes.append(
                .init(document: document, deed: deed, dot: dot, timestamp: timestamp, past: known[replica]))
            deltas.append(delta)
            enter(delta, in: document, dot, timestamp, at: replica)
            return apply(deltas.count - 1, at: replica)
        }

        /// The write as the entry that it is in the log, for the reference.
        private mutating func enter(
            _ delta: DocumentDelta, in document: DocumentID, _ dot: Dot, _ timestamp: HybridTimestamp, at replica: Int
        ) {
            let payload = DocumentPayload(name: document.name, user: "u", displayName: "u", delta: delta)
            var entry = Entry(
                dot: dot, timestamp: timestamp, kind: .document, room: document.room, payload: payload.encoded)
            let vector = vector(of: replica)
            entry.dependencies = vector.components.filter {
                $0.replica != dot.replica && $0.seq > told[replica][$0.replica]
            }
            told[replica] = vector
            reference.insert(entry)
        }

        /// The first way in which a replica's documents differ from what its vector's entries make.
        func differenceFromReference(at replica: Int) -> String? {
            let vector = vector(of: replica)
            let documents = documents[replica]
            for set in sets where documents.elements(of: set) != reference.elements(of: set, within: vector) {
                return "\(set): \(documents.elements(of: set)), not \(reference.elements(of: set, within: vector))"
            }
            for register in registers
            where documents.text(of: register) != reference.value(of: register, within: vector) {
                return "\(register): \(String(describing: documents.text(of: register)))"
            }
            for counter in counters where documents.count(of: counter) != reference.counter(of: counter, within: vector)
            {
                return "\(counter): \(String(describing: documents.count(of: counter)))"
            }
            return nil
        }

        /// Applies a write and says what is wrong with what it is said to have changed.
        mutating func apply(_ number: Int, at replica: Int) -> String? {
            let write = model.writes[number]
            let change = documents[replica].apply(
                deltas[number], to: write.document, dot: write.dot, timestamp: write.timestamp)
            known[replica].insert(number)
            let now = known[replica]
            let expected: DocumentShown =
                switch write.deed {
                case .add: .asWritten
                case .remove(let element):
                    model.dots(of: element, in: write.document, now).isEmpty ? .asWritten : .hidden
                case .set(let value):
                    !now.contains {
                        let other = model.writes[$0]
                        return other.document == write.document
                            && (write.timestamp, write.dot.replica) < (other.timestamp, other.dot.replica)
                    } && model.value(of: write.document, now) == value ? .asWritten : .hidden
                case .count: .counted(model.count(of: write.document, now) ?? 0)
                }
            return change == expected ? nil : "\(change), not \(expected)"
        }

        /// What could be applied at a replica now: unknown there, with all its past known.
        func ready(at replica: Int) -> [Int] {
            model.writes.indices.filter {
                !known[replica].contains($0) && model.writes[$0].past.isSubset(of: known[replica])
            }
        }

        mutating func difference(at replica: Int) -> String? {
            let digest = documents[replica].digest
            if digests[known[replica], default: digest] != digest { return "another digest than before of the same" }
            digests[known[replica]] = digest
            return model.difference(
                from: documents[replica], known[replica], sets: sets, registers: registers, counters: counters,
                elements: elements)
        }
    }

    @Test(
        "replicas that add, remove, set and count at once hold what the writes make, in any causal order",
        arguments: UInt64(100)..<130)
    func converge(seed: UInt64) throws {
        #expect(try Self.wrong(seed: seed) == nil, "seed \(seed)")
    }

    @Test(
        "mistakes that are planted in the documents are found",
        .enabled(if: PlantedFaults.removeByElement.has(.removeByElement), "a release plants none"),
        arguments: [PlantedFaults.removeByElement, .countersAsIncrements, .observedRemoveRegister])
    func planted(fault: PlantedFaults) throws {
        let found = try (UInt64(100)..<130).contains { try Self.wrong(seed: $0, planted: fault) != nil }
        #expect(found)
    }

    /// What is wrong first in a random history, at the end of which every replica knows every write.
    private static func wrong(seed: UInt64, planted: PlantedFaults = []) throws -> String? {
        var cluster = Cluster(seed: seed, replicas: 2 + Int(seed % 3), planted: planted)
        let replicas = cluster.documents.count
        for step in 0..<60 {
            let replica = cluster.random.below(replicas)
            let ready = cluster.random.chance(60) ? cluster.ready(at: replica) : []
            var broken: String?
            if ready.isEmpty {
                broken = try cluster.write(at: replica)
            } else {
                broken = cluster.apply(ready[cluster.random.below(ready.count)], at: replica)
            }
            broken = broken ?? cluster.difference(at: replica) ?? cluster.differenceFromReference(at: replica)
            if let broken { return "step \(step), replica \(replica): \(broken)" }
        }
        for replica in 0..<replicas {
            while let next = cluster.ready(at: replica).randomElement(using: &cluster.random) {
                if let broken = cluster.apply(next, at: replica) { return broken }
            }
            if let broken = cluster.difference(at: replica) ?? cluster.differenceFromReference(at: replica) {
                return broken
            }
        }
        return cluster.known.allSatisfy { $0.count == cluster.model.writes.count } ? nil : "not all is known everywhere"
    }

    @Test(
        "rolling back to a mark leaves exactly what was there, however changes, marks and settling mix",
        arguments: UInt64(200)..<230)
    func rollback(seed: UInt64) throws {
        var cluster = Cluster(seed: seed, replicas: 2)
        var marks: [(mark: Documents.Mark, known: Set<Int>)] = [(cluster.documents[0].mark, [])]
        var broken: String?
        for step in 0..<120 where broken == nil {
            switch cluster.random.below(12) {
            case 0..<5:
                broken = try cluster.write(at: 0)
            case 5..<8:
                // A peer's entries are rolled back with the batch that they came in.
                let ready = cluster.ready(at: 0)
                broken = ready.isEmpty ? try cluster.write(at: 1) : cluster.apply(ready[0], at: 0)
            case 8, 9:
                marks.append((cluster.documents[0].mark, cluster.known[0]))
            case 10:
                let settled = cluster.random.below(marks.count)
                cluster.documents[0].settle(through: marks[settled].mark)
                marks.removeFirst(settled)
            default:
                let kept = cluster.random.below(marks.count)
                cluster.documents[0].rollBack(to: marks[kept].mark)
                cluster.known[0] = marks[kept].known
                marks.removeSubrange((kept + 1)...)
            }
            broken = (broken ?? cluster.difference(at: 0)).map { "step \(step): \($0)" }
        }
        #expect(broken == nil, "seed \(seed)")

        cluster.documents[0].rollBack(to: cluster.documents[0].settled)
        cluster.known[0] = marks[0].known
        #expect(cluster.difference(at: 0) == nil, "seed \(seed)")
        #expect(cluster.documents[0].unsettledCount == 0, "seed \(seed)")
    }

    @Test("the digest is of what stands, in documents, kinds, elements, dots, values and totals")
    func digest() {
        let (one, two) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
        func digest(_ rows: [[StoredCell]]) -> UInt64 {
            var documents = Documents()
            for cell in rows.joined() { documents.load(cell) }
            return documents.digest
        }
        func row(
            _ document: DocumentID, _ value: Text?, _ totals: CounterTotals? = nil, _ replica: ReplicaID = one,
            seq: UInt64 = 1, at time: UInt64 = 1
        ) -> [StoredCell] {
            let delta: DocumentDelta =
                switch document.kind {
                case .orSet: .add(element: value ?? "", replacing: [])
                case .register: .set(value: value)
                default: .count(amount: 0, totals: totals ?? CounterTotals())
                }
            let dot = Dot(replica: replica, seq: seq)
            return delta.change(of: document, dot: dot, timestamp: HybridTimestamp(milliseconds: time)).put
                .map { StoredCell($0, of: document) }
        }
        let (list, topic, votes) = (Self.sets[0], Self.registers[0], Self.counters[0])
        let rows = [
            row(list, "a"), row(list, "b", nil, two), row(topic, "a"), row(votes, nil, CounterTotals(up: 3, down: 1)),
        ]
        #expect(digest([]) == 0)
        #expect(digest(rows) == digest(rows.reversed()))
        let others: [[[StoredCell]]] = [
            [], [rows[0]], [row(list, "b")], [row(list, "a", seq: 2)], [row(list, "a", nil, two)],
            [row(Self.sets[1], "a")], [rows[2]], [row(topic, nil)], [row(topic, "a", at: 2)],
            [row(topic, "a", nil, two)], [rows[3]], [row(votes, nil, CounterTotals(up: 1, down: 3))],
            [row(votes, nil, CounterTotals(up: 3, down: 1), two)], [rows[0], rows[1]], rows,
        ]
        #expect(Set(others.map(digest)).count == others.count)
        // The same in every process, on every machine.
        #expect(digest(rows) == 7_121_549_948_989_263_592)
    }

    @Test("what was loaded from the store stays when everything since is rolled back")
    func loadedStays() throws {
        let list = Self.sets[0]
        let dot = Dot(replica: ReplicaID(rawValue: 1), seq: 1)
        var documents = Documents()
        documents.load(StoredCell(DocumentCell(key: "a", value: .none, dot: dot, timestamp: .zero), of: list))
        let start = documents.mark
        for (seq, element) in (["a", "b"] as [Text]).enumerated() {
            let next = Dot(replica: ReplicaID(rawValue: 1), seq: UInt64(seq) + 2)
            _ = documents.apply(
                try documents.deltaForAdd(element, to: list), to: list, dot: next, timestamp: .zero)
        }
        _ = documents.apply(
            documents.deltaForRemove("a", from: list), to: list, dot: Dot(replica: dot.replica, seq: 4),
            timestamp: .zero)
        #expect(documents.elements(of: list) == ["b"])
        documents.rollBack(to: start)
        #expect(documents.elements(of: list) == ["a"])
        #expect(documents.deltaForRemove("a", from: list) == .remove(element: "a", observed: [dot]))
        #expect(documents.documentCount == 1 && documents.elementCount == 1)
    }
}

// What becomes of a document when a snapshot of it meets what is here.
//
// Invariant: *state is a function of the version vector*. Each side's document is what the entries that its vector covers
// make of it; the join is what the entries that either vector covers make of it. So it does not matter on which way, in
// which order, or how often a document comes.
//
// A set's dot that one side has and the other lacks was removed there, if the other side's vector covers it, and
// otherwise is news. A register's value is the later one by (timestamp, replica). A counter's row never falls.
//
// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7.2: (s ∩ s′) ∪ (s ∖ c′) ∪ (s′ ∖ c).

import ConvergeCRDT
import ConvergeWire

enum SnapshotJoin {
    /// What must change here for the join: rows to take away, and rows to put in (over one that they replace).
    struct Changes: Equatable {
        var removed: [DocumentRow] = []
        var added: [DocumentRow] = []
    }

    /// - Parameters:
    ///   - mine: the document's rows here, in any order; what came before `context`.
    ///   - theirs: its rows there, of what came before `otherContext`.
    ///
    /// O(n + m).
    static func changes(
        _ mine: [DocumentRow], _ theirs: [DocumentRow], of kind: DocumentKind, context: VersionVector,
        otherContext: VersionVector
    ) -> Changes {
        switch kind {
        case .orSet: joinSet(mine, theirs, context, otherContext)
        case .register: joinRegister(mine, theirs)
        case .counter: joinCounter(mine, theirs)
        }
    }

    private struct ElementDot: Hashable {
        var element: Text
        var dot: Dot

        init?(_ row: DocumentRow) {
            guard let value = row.value else { return nil }
            element = value
            dot = row.dot
        }
    }

    private static func joinSet(
        _ mine: [DocumentRow], _ theirs: [DocumentRow], _ context: VersionVector, _ otherContext: VersionVector
    ) -> Changes {
        let here = Set(mine.compactMap { ElementDot($0) })
        let there = Set(theirs.compactMap { ElementDot($0) })
        var changes = Changes()
        changes.removed = mine.filter { row in
            otherContext.covers(row.dot) && ElementDot(row).map { !there.contains($0) } ?? false
        }
        changes.added = theirs.filter { row in
            !context.covers(row.dot) && ElementDot(row).map { !here.contains($0) } ?? false
        }
        return changes
    }

    private static func joinRegister(_ mine: [DocumentRow], _ theirs: [DocumentRow]) -> Changes {
        guard let there = theirs.max(by: { $0.position < $1.position }) else { return Changes() }
        if let here = mine.first, !(here.position < there.position) { return Changes() }
        return Changes(added: [there])
    }

    private static func joinCounter(_ mine: [DocumentRow], _ theirs: [DocumentRow]) -> Changes {
        var here: [ReplicaID: DocumentRow] = [:]
        for row in mine { here[row.dot.replica] = row }
        var changes = Changes()
        for row in theirs {
            let joined = here[row.dot.replica].map { $0.joined(with: row) } ?? row
            if joined != here[row.dot.replica] { changes.added.append(joined) }
        }
        return changes
    }
}

extension DocumentRow {
    /// Of two rows of a counter by one replica: the higher totals, under the later dot.
    func joined(with other: DocumentRow) -> DocumentRow {
        var joined = dot < other.dot ? other : self
        joined.totals = (totals ?? CounterTotals()).joined(with: other.totals ?? CounterTotals())
        return joined
    }
}

extension CounterTotals {
    func joined(with other: CounterTotals) -> CounterTotals {
        CounterTotals(up: max(up, other.up), down: max(down, other.down))
    }
}

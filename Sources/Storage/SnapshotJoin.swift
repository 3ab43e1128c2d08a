// What becomes of a document when a snapshot of it meets what is here.
//
// Invariant: *state is a function of the version vector*. Each side's document is what the entries that its vector covers
// make of it; the join is what the entries that either vector covers make of it. So it does not matter on which way, in
// which order, or how often a document comes.

import ConvergeCRDT
import ConvergeWire

extension SnapshotDocument {
    /// What must change here for the join.
    ///
    /// - Parameters:
    ///   - mine: the document's cells here, in any order; what came before `context`.
    ///   - otherContext: what this document is made of.
    ///
    /// O(n + m).
    func joined(
        to mine: [DocumentCell], context: VersionVector, otherContext: VersionVector
    ) -> DocumentChange {
        let changes = id.kind.rule.changes(of: mine, joining: cells, context: context, otherContext: otherContext)
        return DocumentChange(id, removed: changes.removed, put: changes.put, touched: touched.components)
    }
}

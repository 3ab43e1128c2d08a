/// How the cells of a document become one state, whichever way, in which order, and how often they came.
///
/// Invariant: joining is commutative, associative and idempotent, so a document is a function of the events that its
/// context covers. A document follows one rule for all of its cells.
///
/// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7.2; Johnson, Thomas: "The Maintenance of
/// Duplicate Databases" (RFC 677, 1975); Shapiro et al.: "A comprehensive study of Convergent and Commutative Replicated
/// Data Types" (2011), section 3.1.1.
public enum MergeRule: Hashable, Sendable, CaseIterable {
    /// A cell stands under (key, dot) until an event that saw it takes it away; what nobody saw stays, so an add wins over
    /// a concurrent remove. What one side lacks and its context covers was removed there, so nothing is kept of it.
    case observed
    /// A cell stands under its key, and the write that is later by (time, replica, seq) stays. Clearing is a write, too.
    case latest
    /// A cell stands under its key, and the greater value stays, under the later event. Nothing is ever taken away.
    case greatest

    /// What stays of two writes in one place.
    @inlinable
    public func merged<Value>(_ a: CellWrite<Value>, _ b: CellWrite<Value>) -> CellWrite<Value> {
        let later = b.isLater(than: a) ? b : a
        guard self == .greatest else { return later }
        return CellWrite(max(a.value, b.value), dot: later.dot, timestamp: later.timestamp)
    }

    /// What must change in `mine` so that it becomes the join with `theirs`. O(n + m).
    ///
    /// - Parameters:
    ///   - mine: a document's cells, in any order; made of what `context` covers.
    ///   - theirs: its cells elsewhere, made of what `otherContext` covers.
    public func changes<Key, Value>(
        of mine: [Cell<Key, Value>], joining theirs: [Cell<Key, Value>], context: VersionVector,
        otherContext: VersionVector
    ) -> CellChanges<Key, Value> {
        var changes = CellChanges<Key, Value>()
        switch self {
        case .observed:
            // (s ∩ s′) ∪ (s ∖ c′) ∪ (s′ ∖ c)
            let here = Set(mine.map { $0.place(under: self) })
            let there = Set(theirs.map { $0.place(under: self) })
            changes.removed = mine.filter { otherContext.covers($0.dot) }.map { $0.place(under: self) }
                .filter { !there.contains($0) }
            changes.put = theirs.filter { !context.covers($0.dot) && !here.contains($0.place(under: self)) }
        case .latest, .greatest:
            var here: [Key: CellWrite<Value>] = [:]
            for cell in mine { here[cell.key] = cell.write }
            for cell in theirs {
                let joined = here[cell.key].map { merged($0, cell.write) } ?? cell.write
                guard joined != here[cell.key] else { continue }
                here[cell.key] = joined
                changes.put.append(Cell(key: cell.key, write: joined))
            }
        }
        return changes
    }
}

/// What makes one state of a document another: places that are emptied, then cells that are put in.
public struct CellChanges<Key: Hashable & Comparable & Sendable, Value: Hashable & Comparable & Sendable>: Hashable,
    Sendable
{
    public var removed: [CellPlace<Key>]
    public var put: [Cell<Key, Value>]

    @inlinable
    public init(removed: [CellPlace<Key>] = [], put: [Cell<Key, Value>] = []) {
        self.removed = removed
        self.put = put
    }
}

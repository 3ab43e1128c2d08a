// Changes that are in effect but not yet certain, kept so that they can be taken back.
//
// A write takes effect in memory when it enters a batch and is certain when the batch is stored. A later write sees it
// meanwhile. If the batch fails, it and everything after it is undone: newest first, each change restoring what it found.
//
// Invariant: undoing down to a mark leaves exactly the state in which that mark was taken.

/// What undoes the changes since the last one that is certain, oldest first. It grows until it is settled: how many
/// changes may be uncertain at once is for its user to bound.
public struct UndoLog<Change: Sendable>: Sendable {
    /// A point between two changes. Marks are ordered, and none is used twice, not even after a rollback: a mark of a
    /// future that was taken back settles nothing that came instead.
    public struct Mark: Hashable, Comparable, Sendable {
        fileprivate var number: UInt64

        public static func < (a: Mark, b: Mark) -> Bool { a.number < b.number }
    }

    private var changes: [(mark: Mark, change: Change)] = []

    /// The point after everything recorded so far.
    public private(set) var mark = Mark(number: 0)

    /// The point before which nothing can be taken back.
    public private(set) var settled = Mark(number: 0)

    public init() {}

    /// How many changes are uncertain.
    public var count: Int { changes.count }

    /// What undoes the uncertain changes, oldest first.
    public var pending: some Sequence<Change> { changes.lazy.map(\.change) }

    /// Keeps what undoes a change that is just being made. O(1) amortised.
    public mutating func record(_ change: Change) {
        mark.number += 1
        changes.append((mark, change))
    }

    /// Everything up to `mark` is certain and is forgotten. A mark settled before is settled already. O(what is left).
    public mutating func settle(through mark: Mark) {
        guard mark > settled else { return }
        settled = mark
        let first = changes.firstIndex { $0.mark > mark } ?? changes.count
        if first == changes.count {
            changes.removeAll(keepingCapacity: first < 4096)
        } else {
            changes.removeFirst(first)
        }
    }

    /// Takes out what was recorded after `mark`, newest first: the order to undo it in.
    ///
    /// `mark` must not lie before what is settled: that can't be undone any more, and traps.
    public mutating func takeBack(to mark: Mark) -> [Change] {
        precondition(mark >= settled, "taking back \(settled.number - mark.number) settled changes")
        let first = changes.lastIndex { $0.mark <= mark }.map { $0 + 1 } ?? 0
        let undone = changes[first...].reversed().map(\.change)
        changes.removeSubrange(first...)
        return undone
    }
}

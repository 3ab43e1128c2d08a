// Gives entries that are dated far ahead of the clock other dates, in a database that no node has open.
//
// A hybrid clock can't go back: once something is stored that a wrong clock has dated, all that is written later has to be
// dated behind it. So the dates themselves are mended. What is dated far ahead depends on others, and nothing that is dated
// rightly depends on it (docs/replication.md, invariant 9); so it can all be moved down at once, in its order, behind the
// latest entry that is dated rightly, a counter apart. Then the clock goes on from there.
//
// Invariant: the order of any two entries, and with it what won in each document, is as before. Dots stay, so vectors,
// cursors and dependencies do. A log whose entries are dated anew is chained anew from the first of them on; where the hash
// before that is not known, because retention took the entry, the log's floor rises to its end, and peers that need it get
// a snapshot.

import ConvergeCRDT

/// What was, or would be, dated anew.
public struct Redated: Hashable, Sendable {
    /// One log's part.
    public struct Log: Hashable, Sendable {
        public var replica: ReplicaID
        /// The first entry that was dated too far ahead, and how many are from there to the log's end.
        public var from: UInt64
        public var entries: Int
    }

    public var logs: [Log] = []
    /// The latest date that was there, and the latest that is there now.
    public var before = HybridTimestamp.zero
    public var after = HybridTimestamp.zero

    public init() {}
}

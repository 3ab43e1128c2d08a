import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

/// The end of this replica's log: gives each new entry its place.
///
/// An entry's place is (replica, seq), seq without gaps, its hybrid timestamp after all before it, its hash chained to the
/// one before. What is not committed yet can be taken back as a whole, and only as a whole, from the end: the committed
/// place is remembered for that.
struct LogHead {
    let replica: ReplicaID
    private(set) var seq: UInt64
    private(set) var hash: EntryHash
    private var committed: (seq: UInt64, hash: EntryHash)
    private let chain = EntryChain()

    init(replica: ReplicaID, seq: UInt64, hash: EntryHash) {
        self.replica = replica
        self.seq = seq
        self.hash = hash
        committed = (seq, hash)
    }

    var committedSeq: UInt64 { committed.seq }

    mutating func place(_ kind: EntryKind, room: Text, payload: [UInt8], at timestamp: HybridTimestamp) -> Entry {
        seq += 1
        var entry = Entry(
            dot: Dot(replica: replica, seq: seq), timestamp: timestamp, kind: kind, room: room, payload: payload)
        hash = chain.hash(after: hash, entry)
        entry.hash = hash
        return entry
    }

    /// The id of a message that was sent with a key.
    func messageID(room: Text, user: Text, key: Text) -> MessageID {
        chain.messageID(room: room, user: user, key: key)
    }

    mutating func commit(_ entry: Entry) { committed = (entry.dot.seq, entry.hash) }

    mutating func rollBack() { (seq, hash) = committed }
}

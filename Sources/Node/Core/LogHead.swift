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
    /// What the entries so far have said that they depend on. Of an opened log that isn't known, so its first entry says
    /// it all.
    private var told = VersionVector()
    private var committed: (seq: UInt64, hash: EntryHash, told: VersionVector)
    private let chain = EntryChain()

    init(replica: ReplicaID, seq: UInt64, hash: EntryHash) {
        self.replica = replica
        self.seq = seq
        self.hash = hash
        committed = (seq, hash, VersionVector())
    }

    var committedSeq: UInt64 { committed.seq }
    var committedHash: EntryHash { committed.hash }

    /// - Parameter applied: what is applied of all logs: what the entry depends on.
    mutating func place(
        _ kind: EntryKind, room: Text, payload: [UInt8], at timestamp: HybridTimestamp,
        after applied: VersionVector = VersionVector()
    ) -> Entry {
        seq += 1
        var entry = Entry(
            dot: Dot(replica: replica, seq: seq), timestamp: timestamp, kind: kind, room: room, payload: payload)
        for dot in applied.components where dot.replica != replica && dot.seq > told[dot.replica] {
            entry.dependencies.append(dot)
            told.advance(to: dot)
        }
        hash = chain.hash(after: hash, entry)
        entry.hash = hash
        return entry
    }

    /// The id of a message that was sent with a key.
    func messageID(room: Text, user: Text, key: Text) -> MessageID {
        chain.messageID(room: room, user: user, key: key)
    }

    /// The id of the event with this number of (room, user): the same whoever writes it.
    func eventID(room: Text, user: Text, number: UInt64) -> MessageID {
        chain.eventID(room: room, user: user, number: number)
    }

    /// The entry is stored, and with it all of this log before it.
    mutating func commit(_ entry: Entry) {
        committed.seq = entry.dot.seq
        committed.hash = entry.hash
        for dot in entry.dependencies { committed.told.advance(to: dot) }
    }

    mutating func rollBack() { (seq, hash, told) = committed }
}

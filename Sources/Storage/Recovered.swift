import ConvergeCRDT
import ConvergeWire

/// What an opened store says.
public struct Recovered: Sendable {
    public var replica: ReplicaID
    /// How often this replica has been opened by a new process, this one included.
    public var boot: UInt64
    /// For each replica the highest seq stored, one's own log's head among them.
    public var vector: VersionVector
    /// The hash of the own log's last entry; `.zero` for an empty log.
    public var headHash: EntryHash
    /// The highest hybrid timestamp of any entry.
    public var clock: HybridTimestamp
    /// The wall clock of a database that has one of its own, in milliseconds since 1970.
    public var wall: UInt64?
    /// The last entry of each log and its hash, sorted by replica.
    public var ends: [LogEnd]
    /// Below and at these a log can't be served entry by entry.
    public var floors: VersionVector
    /// The cells of all documents.
    public var documents: [StoredCell]
    /// The last system event of each (room, user), sorted by (room, user): of all who have joined, and of those who have
    /// left the newest `WriterStart.attendanceLimit`.
    public var attendance: [AttendanceRecord]
    /// Nobody who has left is missing from `attendance`.
    public var attendanceComplete: Bool
    /// Who was ever a member, sorted by address.
    public var members: [StoredMember]
    /// Set where the replica is new though the store was not: what was wrong with the old one.
    public var renewal: RenewalReason?
    /// The store is this node's alone, so that it can take over a peer's state as a whole (`StoreWriter.reload`).
    public var canReload = true
    /// Rows taken over from a database of the earlier Go server by this open.
    public var adopted: Int
    /// Other nodes may write into this store.
    public var isShared: Bool
    /// Whether others on the machine could open the store's files.
    public var privacy = FilePrivacy.kept

    public init(
        replica: ReplicaID, boot: UInt64, vector: VersionVector = VersionVector(), headHash: EntryHash = .zero,
        clock: HybridTimestamp = .zero, ends: [LogEnd] = [], floors: VersionVector = VersionVector(),
        documents: [StoredCell] = [], attendance: [AttendanceRecord] = [], attendanceComplete: Bool = true,
        members: [StoredMember] = [], renewal: RenewalReason? = nil, adopted: Int = 0,
        isShared: Bool = false
    ) {
        self.replica = replica
        self.boot = boot
        self.vector = vector
        self.headHash = headHash
        self.clock = clock
        self.ends = ends
        self.floors = floors
        self.documents = documents
        self.attendance = attendance
        self.attendanceComplete = attendanceComplete
        self.members = members
        self.renewal = renewal
        self.adopted = adopted
        self.isShared = isShared
    }

    /// The own log's last seq; 0 for an empty log.
    public var head: UInt64 { vector[replica] }
}

/// Why a replica was given up for a new one.
public enum RenewalReason: String, Sendable {
    case copied = "the database was made on another machine or as another file"
    case unclean = "the machine went down while writes were not yet synced"
    case syncFailed = "a sync to disk failed"
    case fenced = "another process holds the replica"
    case behind = "the database has less of the log than this node has committed"
    case twin = "another process uses the replica"
    case foreign = "a peer knows the replica's log otherwise"
    case fork = "of two copies of the replica's log the other stays"
}

/// Another node that was once met: its address is dialled until it leaves or an operator removes it.
public struct StoredMember: Hashable, Sendable {
    public var address: Text
    /// nil for an address that never answered.
    public var replica: ReplicaID?
    public var name: Text
    /// Wall time in milliseconds when it was last met.
    public var seen: UInt64

    public init(address: Text, replica: ReplicaID?, name: Text, seen: UInt64) {
        self.address = address
        self.replica = replica
        self.name = name
        self.seen = seen
    }
}

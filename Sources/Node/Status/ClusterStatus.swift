import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// How a node and, as far as it can tell, its cluster are: what `/cluster` answers, and what the metrics of peers are of.
///
/// A snapshot of one moment. All arrays are sorted by replica. What is said of a peer is what this node knows of it.
struct ClusterStatus: Sendable {
    enum State: String, Sendable {
        case starting
        case ready
        /// It stops.
        case draining
        case storageUnavailable = "storage_unavailable"
    }

    /// One replica's log as it is stored here.
    struct Log: Sendable {
        var end: LogEnd
        /// Up to here the log is kept as state only.
        var floor: UInt64
    }

    /// An entry that is held aside, until this moment is near, in milliseconds since 1970.
    struct Held: Sendable {
        var dot: Dot
        var until: UInt64
    }

    enum MemberState: String, Sendable, CaseIterable {
        case alive, suspect, faulty
        /// Faulty, and its node goes on under another replica.
        case replaced
        case left, forgotten

        init(_ member: Membership.Member) {
            self =
                switch member.state {
                case .alive: .alive
                case .suspect: .suspect
                case .faulty: member.forgotten ? .forgotten : member.successor != nil ? .replaced : .faulty
                case .left: member.forgotten ? .forgotten : .left
                }
        }
    }

    /// What one side lacks of what the other has.
    struct Lag: Sendable, Equatable {
        var entries: UInt64 = 0
        /// How long ago this node first knew of the oldest entry that is lacking, in milliseconds: an estimate, by
        /// `EntryAges`.
        var age: UInt64 = 0
    }

    /// What is known of a peer by the link to it.
    struct Link: Sendable {
        /// The protocol version that is spoken.
        var version: UInt16
        /// What the peer has; nil where it hasn't told yet.
        var has: VersionVector?
        /// What the peer lacks of what is stored here, and the other way round.
        var lacks = Lag()
        var leads = Lag()
        /// Its clock less ours, in milliseconds, by what it last told: its frame's way is in it.
        var skew: Int64?
        var unacknowledgedBytes: UInt64 = 0
        var isPaused = false
    }

    struct Member: Sendable {
        var replica: ReplicaID
        var name: Text
        var address: Text
        var state: MemberState
        var incarnation: UInt64
        /// For how long it has been in this state, and has had or not had its link, in milliseconds.
        var inState: UInt64
        var inLink: UInt64
        /// nil where there is no link.
        var link: Link?
    }

    struct Counters: Sendable {
        var replicator = ReplicatorCounters()
        var membership = MembershipCounters()
        var framesIn = 0
        var framesOut = 0
        var violations = 0
        var unknownFrames = 0
        var identitiesRenewed = 0
        var linksRefused = 0
        var linksTimedOut = 0
    }

    var name: Text
    /// Nil where the node is not part of a cluster.
    var cluster: Text?
    /// Where peers dial it; empty where they can't.
    var address: Text
    var lowestVersion: UInt16
    var highestVersion: UInt16
    /// Nil until the store has been opened.
    var replica: ReplicaID?
    var boot: UInt64
    var state: State
    /// What the store said last, while it can't be written.
    var storeTrouble: StoreError.Kind?
    /// False where the clock is so far off that writes are refused.
    var isClockTolerable: Bool
    /// How far the latest moment of any entry here is ahead of the wall clock, in milliseconds.
    var clockLead: UInt64 = 0
    /// Wall time in milliseconds.
    var taken: UInt64

    /// Set by the shell, which has the sockets.
    var connections = 0
    /// The most bytes of a message's body; nil where it is not told.
    var bodyLimit: Int?
    var sessions: Int
    var rooms: Int
    var documents: Int
    var saveQueue: Int

    var logs: [Log]
    /// A number for all that the documents hold, and the entries that it is made of: two nodes with the same entries have
    /// the same number, or one of them is wrong.
    var documentsDigest: UInt64
    var documentsVector: VersionVector
    /// The logs that go no further here, since what is next is dated too far ahead.
    var held: [Held] = []
    var members: [Member]
    var counters: Counters
}

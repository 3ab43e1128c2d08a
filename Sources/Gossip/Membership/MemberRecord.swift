import ConvergeCRDT
import ConvergeWire

/// What is said of a member: the newer incarnation wins, and of one incarnation the worse state (SWIM, section 4.2).
struct MemberClaim: Hashable, Comparable, Sendable {
    var incarnation: UInt64
    var state: MemberState

    static func < (a: MemberClaim, b: MemberClaim) -> Bool {
        (a.incarnation, a.state.rawValue) < (b.incarnation, b.state.rawValue)
    }
}

/// What this node holds of one other.
struct MemberRecord: Sendable {
    let replica: ReplicaID
    var name: Text
    var address: Text
    var claim: MemberClaim
    var linked = false
    /// When the link to it ended, unless there is one again.
    var lostAt: UInt64?
    /// False while it is only known from the store: then anything that is heard of it counts, and nothing is passed on.
    var verified = true
    /// While its link proves that it runs: the worst that others hold against it, until it refutes that.
    var disputed: MemberClaim?
    /// The worst of itself that it was told ahead of the probes.
    var told: MemberClaim?
    var suspicion: Suspicion?
    /// Whether this node declared it faulty on its own.
    var failedHere = false
    /// The last sign of life, from itself or through others.
    var heard: UInt64?
    /// Through whom it was reached last, where there is no link.
    var relay: ReplicaID?
    /// When it was last known to live, in wall time.
    var seen: UInt64 = 0
    /// When it is forgotten; nil while it lives.
    var forgetAt: UInt64?
    var forgotten = false

    var state: MemberState { claim.state }

    init(replica: ReplicaID, name: Text, address: Text, claim: MemberClaim) {
        self.replica = replica
        self.name = name
        self.address = address
        self.claim = claim
    }

    func update(from accuser: ReplicaID, _ claim: MemberClaim? = nil) -> MemberUpdate {
        let claim = claim ?? self.claim
        let from =
            switch claim.state {
            case .alive: replica
            case .suspect: suspicion?.accusers[0] ?? accuser
            case .faulty, .left: accuser
            }
        return MemberUpdate(
            replica: replica, incarnation: claim.incarnation, state: claim.state, from: from, address: address,
            name: name)
    }
}

/// The records, sorted by replica: the order is the same in every process.
struct MemberTable: Sendable {
    private(set) var replicas: [ReplicaID] = []
    var records: [MemberRecord] = []

    func index(of replica: ReplicaID) -> Int? {
        let at = position(of: replica)
        return at < replicas.count && replicas[at] == replica ? at : nil
    }

    subscript(replica: ReplicaID) -> MemberRecord? { index(of: replica).map { records[$0] } }

    mutating func insert(_ record: MemberRecord) -> Int {
        let at = position(of: record.replica)
        replicas.insert(record.replica, at: at)
        records.insert(record, at: at)
        return at
    }

    mutating func remove(at index: Int) {
        replicas.remove(at: index)
        records.remove(at: index)
    }

    private func position(of replica: ReplicaID) -> Int {
        var low = 0
        var high = replicas.count
        while low < high {
            let middle = (low + high) / 2
            if replicas[middle] < replica { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

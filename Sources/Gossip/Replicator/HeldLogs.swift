import ConvergeCRDT
import ConvergeWire

// Entries that are dated too far ahead, and what depends on them, are held aside: not applied here until their time has
// come, or an operator takes a larger lead.
//
// A hybrid clock can't stand before what it has applied, so one such entry would date everything that any node writes from
// then on. And since a log is applied without gaps, the log stays where it is before that entry; the others go on. Nothing
// of what is held is kept: what is not applied is in no digest, so any peer that has it gives it again. What is kept is
// one record a log, and with it when it is asked for again.
//
// Invariant: a log in here is at the entry before the one that is held, or was when that came; at most `limit` logs are.

/// The logs that go no further for now, and why.
struct HeldLogs: Sendable {
    struct Held: Sendable {
        let dot: Dot
        /// The moment that has to come: the entry's own, or that of what it depends on.
        let timestamp: HybridTimestamp
        /// It is not asked for before, unless that moment has come; monotonic milliseconds.
        var askAt: UInt64
    }

    /// Past this many logs a further one is dropped without a record, and asked for again as its peer's digests come.
    static let limit = 1_024

    /// Sorted by replica.
    private(set) var logs: [Held] = []

    var isEmpty: Bool { logs.isEmpty }

    subscript(replica: ReplicaID) -> Held? {
        let at = index(of: replica)
        return at < logs.count && logs[at].dot.replica == replica ? logs[at] : nil
    }

    /// - Returns: whether this is news: another entry of this log was held before, or none.
    mutating func hold(_ dot: Dot, until timestamp: HybridTimestamp, askAt: UInt64) -> Bool {
        let at = index(of: dot.replica)
        let held = Held(dot: dot, timestamp: timestamp, askAt: askAt)
        if at < logs.count, logs[at].dot.replica == dot.replica {
            let isNews = logs[at].dot != dot || logs[at].timestamp != timestamp
            logs[at] = held
            return isNews
        }
        guard logs.count < Self.limit else { return false }
        logs.insert(held, at: at)
        return true
    }

    /// It has just been asked for.
    mutating func asked(_ replica: ReplicaID, again time: UInt64) {
        let at = index(of: replica)
        if at < logs.count, logs[at].dot.replica == replica { logs[at].askAt = time }
    }

    /// Takes out what is applied meanwhile, by whatever way it came.
    mutating func drop(coveredBy vector: VersionVector) {
        if !logs.isEmpty { logs.removeAll { vector.covers($0.dot) } }
    }

    /// Forgets what nobody is known to have any more, once it would be asked for.
    mutating func drop(at now: UInt64, unless isClaimed: (Dot) -> Bool) {
        if !logs.isEmpty { logs.removeAll { now >= $0.askAt && !isClaimed($0.dot) } }
    }

    private func index(of replica: ReplicaID) -> Int { logs.firstIndex { $0.dot.replica >= replica } ?? logs.count }
}

extension Replicator {
    /// What no entry may be dated after: this node's wall clock, and the lead that is borne.
    var latest: HybridTimestamp {
        let (sum, overflow) = wall.addingReportingOverflow(options.lead)
        return HybridTimestamp(milliseconds: overflow ? .max : sum, counter: .max)
    }

    /// Turns away an entry that is dated too far ahead, or stands behind one that is; false where it is neither.
    mutating func holdsAside(_ entry: Entry, at now: UInt64, into effects: inout [ReplicatorEffect]) -> Bool {
        if options.planted.has(.futureTaken) { return false }
        let (log, seq) = (entry.dot.replica, entry.dot.seq)
        var moment = entry.timestamp > latest ? entry.timestamp : nil
        if !held.isEmpty {
            for dot in entry.dependencies {
                guard let cause = held[dot.replica], cause.dot.seq <= dot.seq, !applied.covers(dot) else { continue }
                moment = max(moment ?? .zero, cause.timestamp)
            }
            // What is next decides itself whether its log goes on: another peer may have another entry under this number.
            if moment == nil, let before = held[log], before.dot.seq < seq, seq > applied[log] + 1 {
                counters.heldAside += 1
                return true
            }
        }
        guard let moment else { return false }
        counters.heldAside += 1
        // Of what stands behind others that are missing it is not known that they don't come.
        if seq == applied[log] + 1, held.hold(entry.dot, until: moment, askAt: now + options.heldPause) {
            effects.append(.heldAside(entry.dot, until: moment))
        }
        return true
    }

    /// Whether a log is not to be asked for now, since its next entry would only be held again.
    func isHeld(_ log: ReplicaID, at now: UInt64) -> Bool {
        guard let next = held[log], next.dot.seq == applied[log] + 1 else { return false }
        return next.timestamp > latest && now < next.askAt
    }

    /// Turns a snapshot away that brings state dated too far ahead: it can't be taken in part. Its server is asked for
    /// another one later, each time twice as late.
    /// - Returns: false where it may be taken.
    mutating func holdsAside(
        _ chunk: SnapshotChunk, from source: LogSource, at now: UInt64, into effects: inout [ReplicatorEffect]
    ) -> Bool {
        guard let moment = chunk.latest, moment > latest, !options.planted.has(.futureTaken) else { return false }
        counters.heldAside += 1
        if let at = index(of: source) {
            let pause = min(options.heldPause << UInt64(min(peers[at].heldSnapshots, 6)), options.longestHeldPause)
            peers[at].heldSnapshots += 1
            peers[at].snapshotRestsUntil = now + pause
        }
        effects.append(.heldSnapshot(source, until: moment))
        abandonSnapshot(into: &effects)
        return true
    }

    /// Whether any log goes no further for now.
    public var isHolding: Bool { !held.isEmpty }

    /// The logs that go no further for now, sorted by replica: the entry that is held, and the moment that has to come.
    public var heldAside: [(dot: Dot, until: HybridTimestamp)] { held.logs.map { ($0.dot, $0.timestamp) } }
}

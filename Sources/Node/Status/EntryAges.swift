import ConvergeCRDT

// How long ago this node first knew of an entry, without a time for each entry: so a lag has an age, not just a length.
//
// The ends of the logs are looked at about once a second. What was new at one look is a stretch of the log, and the
// stretch has the look's time. Of each log so many stretches are kept; one more, and two become one with the time of the
// older: those that lie closest together, for how long ago they are. So an age is a second off for what is new, and for
// what is old a fraction of itself too high; nothing is older than this process.
//
// Invariant: the stretches of a log rise in seq and in time, and are at most `limit`.
struct EntryAges: Sendable {
    private struct Stretch: Sendable {
        let first: UInt64
        let since: UInt64
    }

    private struct Log: Sendable {
        let replica: ReplicaID
        var end: UInt64
        var stretches: [Stretch]
    }

    private static let limit = 32

    /// Sorted by replica.
    private var logs: [Log] = []

    /// - Parameters:
    ///   - known: how far each log is known to go. What it doesn't name any more is forgotten.
    ///   - now: monotonic milliseconds.
    mutating func look(_ known: VersionVector, at now: UInt64) {
        var next: [Log] = []
        next.reserveCapacity(known.components.count)
        var at = 0
        for dot in known.components {
            while at < logs.count, logs[at].replica < dot.replica { at += 1 }
            guard at < logs.count, logs[at].replica == dot.replica else {
                next.append(
                    Log(replica: dot.replica, end: dot.seq, stretches: [Stretch(first: 1, since: now)]))
                continue
            }
            var log = logs[at]
            if dot.seq > log.end {
                log.stretches.append(Stretch(first: log.end + 1, since: now))
                if log.stretches.count > Self.limit { Self.joinClosest(&log.stretches, at: now) }
                log.end = dot.seq
            }
            next.append(log)
        }
        logs = next
    }

    /// How many milliseconds ago this node first knew of the entry; 0 for one that it doesn't know of. O(log n).
    func age(of dot: Dot, at now: UInt64) -> UInt64 {
        var low = 0
        var high = logs.count
        while low < high {
            let middle = (low + high) / 2
            if logs[middle].replica < dot.replica { low = middle + 1 } else { high = middle }
        }
        guard low < logs.count, logs[low].replica == dot.replica, dot.seq <= logs[low].end,
            let stretch = logs[low].stretches.last(where: { $0.first <= dot.seq })
        else { return 0 }
        return now - min(now, stretch.since)
    }

    private static func joinClosest(_ stretches: inout [Stretch], at now: UInt64) {
        var closest = 1
        var least = Double.infinity
        for at in 1..<stretches.count {
            let before = stretches[at - 1].since
            let share = Double(stretches[at].since - before) / Double(now - min(now, before) + 1)
            if share < least { (closest, least) = (at, share) }
        }
        stretches.remove(at: closest)
    }
}

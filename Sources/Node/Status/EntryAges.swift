import ConvergeCRDT

// How long ago this node first knew of an entry, without a time for each entry: so a lag has an age, not just a length.
//
// The ends of the logs are looked at about once a second. What was new at one look is a stretch of the log, and the
// stretch has the look's time. Of each log so many stretches are kept; one more, and the two that lie closest in time
// become one with the time of the older. So an age is about a second off for what is new, and an estimate that is rather
// too high for what is old; nothing is older than this process.
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
                if log.stretches.count > Self.limit { Self.joinClosest(&log.stretches) }
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

    private static func joinClosest(_ stretches: inout [Stretch]) {
        var closest = 1
        for at in 2..<stretches.count
        where stretches[at].since - stretches[at - 1].since < stretches[closest].since - stretches[closest - 1].since {
            closest = at
        }
        stretches.remove(at: closest)
    }
}

import ConvergeCRDT
import ConvergeWire

// Entries that came before what they depend on.
//
// Two origins push over two links, so an answer can overtake its question. It waits here until the question is applied.
// The room is bounded: when it is full the farthest entry goes, which is the one with the highest position, because
// everything that it waits for stands before it. Nothing is lost by that: what is not applied is not in the digest, so
// it is asked for again.
//
// Invariant: no entry in here is covered by what is applied, and at most `limit` entries and `byteLimit` bytes are.

/// The entries of all logs that can't be applied yet.
struct WaitingRoom: Sendable {
    private struct Waiting: Sendable {
        var entry: Entry
        var since: UInt64
    }

    /// Each log's entries by seq, the logs sorted by replica.
    private var logs: [(replica: ReplicaID, entries: [Waiting])] = []
    private let limit: Int
    private let byteLimit: Int

    private(set) var count = 0
    private(set) var byteCount = 0
    /// Entries that had to go because the room was full, or because they waited too long.
    private(set) var overflowed = 0
    private(set) var expired = 0

    init(limit: Int, byteLimit: Int) {
        self.limit = limit
        self.byteLimit = byteLimit
    }

    var isEmpty: Bool { count == 0 }

    /// The logs of which something waits, sorted.
    var replicas: [ReplicaID] { logs.map(\.replica) }

    /// The first waiting entry of a log. O(log r).
    func first(of replica: ReplicaID) -> Entry? {
        let at = index(of: replica)
        return at < logs.count && logs[at].replica == replica ? logs[at].entries.first?.entry : nil
    }

    /// Keeps an entry; false where it, being the farthest, was turned away. One that is here already is kept as it is.
    mutating func insert(_ entry: Entry, at now: UInt64) -> Bool {
        if contains(entry.dot) { return true }
        let size = entry.waitingBytes
        while count >= limit || byteCount + size > byteLimit {
            overflowed += 1
            guard let farthest, entry.position < farthest.entry.position else { return false }
            remove(farthest.log, at: farthest.index)
        }
        let log = index(of: entry.dot.replica)
        if log == logs.count || logs[log].replica != entry.dot.replica {
            logs.insert((entry.dot.replica, []), at: log)
        }
        let at = Self.index(of: entry.dot.seq, in: logs[log].entries)
        logs[log].entries.insert(Waiting(entry: entry, since: now), at: at)
        count += 1
        byteCount += size
        return true
    }

    private func contains(_ dot: Dot) -> Bool {
        let log = index(of: dot.replica)
        guard log < logs.count, logs[log].replica == dot.replica else { return false }
        let at = Self.index(of: dot.seq, in: logs[log].entries)
        return at < logs[log].entries.count && logs[log].entries[at].entry.dot == dot
    }

    /// Takes out the first entry of a log.
    mutating func removeFirst(of replica: ReplicaID) {
        let at = index(of: replica)
        if at < logs.count, logs[at].replica == replica { remove(at, at: 0) }
    }

    /// Drops what has been applied meanwhile, by whatever way it came.
    mutating func drop(coveredBy vector: VersionVector) {
        for log in logs.indices.reversed() {
            while log < logs.count, let first = logs[log].entries.first, vector.covers(first.entry.dot) {
                let replica = logs[log].replica
                remove(log, at: 0)
                if log >= logs.count || logs[log].replica != replica { break }
            }
        }
    }

    /// Drops what has waited since before `time`: what it waits for may never come.
    mutating func expire(before time: UInt64) {
        for log in logs.indices.reversed() {
            var index = logs[log].entries.count - 1
            while index >= 0 {
                if logs[log].entries[index].since < time {
                    expired += 1
                    let last = logs[log].entries.count == 1
                    remove(log, at: index)
                    if last { break }
                }
                index -= 1
            }
        }
    }

    mutating func removeAll() {
        logs = []
        count = 0
        byteCount = 0
    }

    private var farthest: (log: Int, index: Int, entry: Entry)? {
        var found: (log: Int, index: Int, entry: Entry)?
        for (at, log) in logs.enumerated() {
            // Timestamps rise along a log, so its last entry is its farthest.
            guard let last = log.entries.last else { continue }
            if found.map({ $0.entry.position < last.entry.position }) ?? true {
                found = (at, log.entries.count - 1, last.entry)
            }
        }
        return found
    }

    private mutating func remove(_ log: Int, at index: Int) {
        let removed = logs[log].entries.remove(at: index)
        count -= 1
        byteCount -= removed.entry.waitingBytes
        if logs[log].entries.isEmpty { logs.remove(at: log) }
    }

    private func index(of replica: ReplicaID) -> Int {
        var low = 0
        var high = logs.count
        while low < high {
            let middle = (low + high) / 2
            if logs[middle].replica < replica { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func index(of seq: UInt64, in entries: [Waiting]) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].entry.dot.seq < seq { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension Entry {
    /// About what it takes in memory and on a link.
    var waitingBytes: Int { 96 + room.byteCount + payload.count + dependencies.count * 16 }
}

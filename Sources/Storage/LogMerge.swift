// Entries of several logs in one causal order.
//
// Invariant: what comes is in order of `position`. A hybrid clock never gives an entry a smaller timestamp than what the
// entry depends on has, so that order is a causal one, whichever logs are left out. Each log is read in small pieces and
// the heads are merged: the whole is never in memory, nor sorted.

import ConvergeCRDT
import ConvergeWire

/// What `StoreReader.range` found.
public struct RangeRead: Hashable, Sendable {
    public var entries: [Entry]
    /// These are all that is here of the ranges.
    public var isComplete: Bool
    /// A range begins below the floor of its log: no entries come, a snapshot is needed.
    public var belowFloor: Bool

    public init(entries: [Entry], isComplete: Bool, belowFloor: Bool) {
        self.entries = entries
        self.isComplete = isComplete
        self.belowFloor = belowFloor
    }
}

enum LogMerge {
    /// How many entries of a log are read at a time.
    static let piece = 16

    /// One log's part that is still to come.
    private struct Source {
        let replica: ReplicaID
        let through: UInt64
        /// The seq after those that are read.
        var next: UInt64
        var read: ArraySlice<Entry>
    }

    /// O(n log k) for n entries of k logs, and one `entries` call for each piece of a log.
    ///
    /// - Parameters:
    ///   - ranges: one a replica.
    ///   - entries: the entries of a replica from a seq on, without gaps, at most so many.
    static func read(
        _ ranges: [LogRange], limit bytes: Int, floor: (ReplicaID) throws(StoreError) -> UInt64,
        entries: (ReplicaID, UInt64, Int) throws(StoreError) -> [Entry]
    ) throws(StoreError) -> RangeRead {
        var sources: [Source] = []
        func refill(_ source: inout Source) throws(StoreError) {
            guard source.next <= source.through, source.next > 0 else { return }
            let wanted = Int(min(UInt64(piece), source.through - source.next + 1))
            source.read = try entries(source.replica, source.next, wanted)[...]
            source.next = source.read.isEmpty ? 0 : source.next + UInt64(source.read.count)
        }
        for range in ranges where range.after < range.through {
            if range.after < (try floor(range.replica)) {
                return RangeRead(entries: [], isComplete: false, belowFloor: true)
            }
            var source = Source(replica: range.replica, through: range.through, next: range.after + 1, read: [])
            try refill(&source)
            if !source.read.isEmpty { sources.append(source) }
        }

        // A binary heap: the source whose first entry stands first is at 0.
        func isBefore(_ a: Int, _ b: Int) -> Bool {
            sources[a].read[sources[a].read.startIndex].position < sources[b].read[sources[b].read.startIndex].position
        }
        func sink(_ from: Int) {
            var at = from
            while true {
                var least = at
                for child in [2 * at + 1, 2 * at + 2] where child < sources.count && isBefore(child, least) {
                    least = child
                }
                if least == at { return }
                sources.swapAt(at, least)
                at = least
            }
        }
        for at in (0..<sources.count / 2).reversed() { sink(at) }

        var merged: [Entry] = []
        var left = bytes
        while !sources.isEmpty {
            let entry = sources[0].read[sources[0].read.startIndex]
            left -= entry.approximateBytes
            if left < 0, !merged.isEmpty { return RangeRead(entries: merged, isComplete: false, belowFloor: false) }
            merged.append(entry)
            sources[0].read.removeFirst()
            if sources[0].read.isEmpty { try refill(&sources[0]) }
            if sources[0].read.isEmpty {
                sources.swapAt(0, sources.count - 1)
                sources.removeLast()
            }
            sink(0)
        }
        return RangeRead(entries: merged, isComplete: true, belowFloor: false)
    }
}

extension Entry {
    /// What it takes on the wire, or a little more.
    var approximateBytes: Int { 48 + room.byteCount + 16 * dependencies.count + payload.count }
}

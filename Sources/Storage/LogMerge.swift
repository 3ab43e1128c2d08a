// Entries of several logs in one causal order.
//
// Invariant: nothing comes before what it depends on, of what is in the ranges; where that leaves a choice, the lowest
// `position` comes first. A hybrid clock never gives an entry a smaller timestamp than what the entry depends on has, so
// the order of positions is a causal one by itself, save where a log was written twice: what an entry of another log
// depended on may have been lost, and what stands under its number now was written later. Each log is read in small pieces
// and the heads are merged: the whole is never in memory, nor sorted.

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

        /// There is one while it is among the heads.
        var first: Entry { read[read.startIndex] }
    }

    /// O(n log k) for n entries of k logs, and one `entries` call for each piece of a log.
    ///
    /// - Parameters:
    ///   - ranges: one a replica.
    ///   - entries: the entries of a replica from a seq on, without gaps, at most so many.
    ///   - byPosition: the planted fault: dependencies are not looked at.
    static func read(
        _ ranges: [LogRange], limit bytes: Int, byPosition: Bool = false,
        floor: (ReplicaID) throws(StoreError) -> UInt64,
        entries: (ReplicaID, UInt64, Int) throws(StoreError) -> [Entry]
    ) throws(StoreError) -> RangeRead {
        var heads = Heads(byPosition: byPosition)
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
            if !source.read.isEmpty { heads.add(source) }
        }
        heads.order()

        var merged: [Entry] = []
        var left = bytes
        while let at = heads.next {
            let entry = heads[at].first
            left -= entry.approximateBytes
            if left < 0, !merged.isEmpty { return RangeRead(entries: merged, isComplete: false, belowFloor: false) }
            merged.append(entry)
            heads[at].read.removeFirst()
            if heads[at].read.isEmpty { try refill(&heads[at]) }
            heads.moved(at)
        }
        return RangeRead(entries: merged, isComplete: true, belowFloor: false)
    }

    /// The logs' first entries: which of them comes next.
    private struct Heads {
        private var sources: [Source] = []
        /// A binary heap of places in `sources`: the one whose entry stands first is at 0.
        private var heap: [Int] = []
        private var places: [ReplicaID: Int] = [:]
        private let byPosition: Bool

        init(byPosition: Bool) { self.byPosition = byPosition }

        subscript(at: Int) -> Source {
            get { sources[at] }
            set { sources[at] = newValue }
        }

        mutating func add(_ source: Source) {
            places[source.replica] = sources.count
            heap.append(sources.count)
            sources.append(source)
        }

        mutating func order() {
            for slot in (0..<heap.count / 2).reversed() { sink(slot) }
        }

        /// The source of the next entry: of the one that stands first, or of what has to come before that.
        var next: Int? {
            guard let first = heap.first else { return nil }
            if byPosition { return first }
            var at = first
            // Entries do not depend on each other in a circle; nobody is waited for where bytes say that they do.
            for _ in heap {
                guard let earlier = pending(before: sources[at].first) else { return at }
                at = earlier
            }
            return first
        }

        private func pending(before entry: Entry) -> Int? {
            for dot in entry.dependencies where dot.replica != entry.dot.replica {
                if let at = places[dot.replica], let head = sources[at].read.first, head.dot.seq <= dot.seq {
                    return at
                }
            }
            return nil
        }

        /// The source has another first entry, or none any more.
        mutating func moved(_ at: Int) {
            guard let slot = heap.first == at ? 0 : heap.firstIndex(of: at) else { return }
            if sources[at].read.isEmpty {
                places[sources[at].replica] = nil
                heap.swapAt(slot, heap.count - 1)
                heap.removeLast()
                // What was last may belong above this place.
                if slot < heap.count { rise(slot) }
            }
            if slot < heap.count { sink(slot) }
        }

        private func isBefore(_ a: Int, _ b: Int) -> Bool {
            sources[heap[a]].first.position < sources[heap[b]].first.position
        }

        private mutating func rise(_ from: Int) {
            var slot = from
            while slot > 0, isBefore(slot, (slot - 1) / 2) {
                heap.swapAt(slot, (slot - 1) / 2)
                slot = (slot - 1) / 2
            }
        }

        private mutating func sink(_ from: Int) {
            var slot = from
            while true {
                var least = slot
                for child in [2 * slot + 1, 2 * slot + 2] where child < heap.count && isBefore(child, least) {
                    least = child
                }
                if least == slot { return }
                heap.swapAt(slot, least)
                slot = least
            }
        }
    }
}

extension Entry {
    /// What it takes on the wire, or a little more.
    var approximateBytes: Int { 48 + room.byteCount + 16 * dependencies.count + payload.count }
}

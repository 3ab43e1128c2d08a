// One replica's log in memory.
//
// Invariant: `entries` are those after the floor, without a gap up to the head; `retained` are what is left below it. The
// horizon is not above the floor.

import ConvergeCRDT
import ConvergeWire

struct MemoryLog: Sendable {
    private(set) var floor: UInt64 = 0
    /// The last message or system event that was shown and has gone; see `StoreReader.horizon`.
    private(set) var horizon: UInt64 = 0
    /// At and below the floor, by seq, with gaps.
    private(set) var retained: [Entry] = []
    private(set) var entries: [Entry] = []
    /// Of the last entry ever, also where that is gone.
    private(set) var lastHash = EntryHash.zero

    mutating func append(_ entry: Entry) {
        entries.append(entry)
        lastHash = entry.hash
    }

    subscript(seq: UInt64) -> Entry? {
        guard let at = index(of: seq) else { return nil }
        return at.retained ? retained[at.index] : entries[at.index]
    }

    private func index(of seq: UInt64) -> (retained: Bool, index: Int)? {
        if seq > floor {
            return seq - floor <= UInt64(entries.count) ? (false, Int(seq - floor - 1)) : nil
        }
        let at = retained.firstIndex(notBefore: seq)
        return at < retained.count && retained[at].dot.seq == seq ? (true, at) : nil
    }

    mutating func replace(_ entry: Entry) {
        guard let at = index(of: entry.dot.seq) else { return }
        if at.retained { retained[at.index] = entry } else { entries[at.index] = entry }
    }

    /// Above the floor, without gaps.
    func run(from seq: UInt64, limit: Int) -> ArraySlice<Entry> {
        guard seq > floor, seq - floor <= UInt64(entries.count), limit > 0 else { return [] }
        return entries[Int(seq - floor - 1)...].prefix(limit)
    }

    /// All that are here after `seq`, in order, until `body` returns false; whether that got to the end.
    func forEach(after seq: UInt64, _ body: (Entry) throws(StoreError) -> Bool) throws(StoreError) -> Bool {
        if seq < floor {
            for at in retained.firstIndex(notBefore: seq + 1)..<retained.count where try !body(retained[at]) {
                return false
            }
        }
        let first = seq > floor ? Int(min(seq - floor, UInt64(entries.count))) : 0
        for at in first..<entries.count where try !body(entries[at]) { return false }
        return true
    }

    /// The first entry after `seq` that is here.
    func first(after seq: UInt64) -> Entry? {
        if seq < floor {
            let at = retained.firstIndex(notBefore: seq + 1)
            if at < retained.count { return retained[at] }
        }
        let at = seq > floor ? seq - floor : 0
        return at < UInt64(entries.count) ? entries[Int(at)] : nil
    }

    // MARK: Losing entries

    /// Takes away what stands before `moment`, at most `limit` entries from the beginning.
    mutating func dropOld(before moment: HybridTimestamp, limit: Int) -> [Entry] {
        let below = retained.prefix(limit).prefix { $0.timestamp < moment }
        var gone = Array(below)
        retained.removeFirst(below.count)
        if retained.isEmpty {
            let above = entries.prefix(limit - gone.count).prefix { $0.timestamp < moment }
            gone += above
            entries.removeFirst(above.count)
            floor += UInt64(above.count)
        }
        return gone
    }

    /// A message or system event has gone that was shown.
    mutating func lose(_ seq: UInt64) { horizon = max(horizon, seq) }

    /// Folds entries up to `seq`, looking at most at `limit`. Returns what went, and how many were looked at.
    mutating func fold(through seq: UInt64, limit: Int) -> (gone: [Entry], seen: Int) {
        var gone: [Entry] = []
        var seen = 0
        walk: for entry in entries.prefix(limit) {
            guard entry.dot.seq <= seq else { break }
            switch entry.folding {
            case .folded: gone.append(entry)
            case .retained: retained.append(entry)
            case .barred: break walk
            }
            seen += 1
        }
        entries.removeFirst(seen)
        floor += UInt64(seen)
        return (gone, seen)
    }

    // MARK: Snapshots

    /// Takes up entries beyond the head, by seq, which may have gaps at and below `floor`.
    mutating func install(_ news: [Entry], floor: UInt64, horizon: UInt64, hash: EntryHash) {
        var all = entries + news
        entries = []
        if floor > self.floor {
            let split = all.firstIndex(notBefore: floor + 1)
            retained += all[..<split]
            all.removeFirst(split)
            self.floor = floor
        }
        entries = all
        self.horizon = horizon
        lastHash = hash
    }
}

extension Array<Entry> {
    /// Of entries sorted by seq.
    fileprivate func firstIndex(notBefore seq: UInt64) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].dot.seq < seq { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

// Entries in an order in which each can be applied, where positions alone do not say it.
//
// A hybrid clock gives no entry a lower timestamp than what it depends on has, so the order of positions is a causal one,
// as long as each number of a log was given once. Where a log was written twice and one of the two was lost, an entry of
// another log may depend on a number under which a later entry stands now.
//
// Invariant: nothing comes before the entry before it in its log, nor before what it depends on, of what is there. Where
// that leaves a choice, the lowest position comes first.

import ConvergeCRDT
import ConvergeWire

enum CausalOrder {
    /// O(n log n + d) for n entries with d dependencies.
    static func sorted(_ entries: [Entry]) -> [Entry] {
        let entries = entries.sorted { $0.position < $1.position }
        var places: [Dot: Int] = [:]
        for (at, entry) in entries.enumerated() { places[entry.dot] = at }
        var ordered: [Entry] = []
        ordered.reserveCapacity(entries.count)
        var isTaken = [Bool](repeating: false, count: entries.count)

        /// What has to come before, and has not been met. What was met and has not come yet can be met again only in a
        /// circle, which nobody is to wait in.
        func earlier(than entry: Entry) -> Int? {
            let before = Dot(replica: entry.dot.replica, seq: entry.dot.seq &- 1)
            if let at = places[before], !isTaken[at] { return at }
            for dot in entry.dependencies {
                if let at = places[dot], !isTaken[at] { return at }
            }
            return nil
        }

        for start in entries.indices where !isTaken[start] {
            isTaken[start] = true
            var path = [start]
            while let at = path.last {
                if let next = earlier(than: entries[at]) {
                    isTaken[next] = true
                    path.append(next)
                } else {
                    ordered.append(entries[at])
                    path.removeLast()
                }
            }
        }
        return ordered
    }
}

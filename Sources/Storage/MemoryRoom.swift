// Which entries of a room are shown, in order. Messages and system events stand apart, so that paging history never
// wades through documents.

import ConvergeCRDT
import ConvergeWire

struct MemoryRoom: Sendable {
    private(set) var history: [Position] = []
    private var others: [Position] = []

    /// O(1) at the end, O(n) moves elsewhere.
    mutating func insert(_ position: Position, shown: BatchRules.Shown) {
        switch shown {
        case .nowhere: break
        case .history: Self.insert(position, into: &history)
        case .others: Self.insert(position, into: &others)
        }
    }

    /// Whether it was shown in history.
    mutating func remove(_ position: Position, kind: EntryKind) -> Bool {
        if kind == .message || kind == .system { return Self.remove(position, from: &history) }
        _ = Self.remove(position, from: &others)
        return false
    }

    /// The newest `limit` before `before` that `bound` covers, in order.
    func history(before: Position?, limit: Int, within bound: VersionVector) -> [Position] {
        var at = before.map { history.firstIndex(notBefore: $0) } ?? history.count
        var newest: [Position] = []
        while at > 0, newest.count < limit {
            at -= 1
            if bound.covers(history[at].dot) { newest.append(history[at]) }
        }
        return newest.reversed()
    }

    /// The shown positions from `moment` on, in order, until `body` returns false.
    func forEach(from moment: HybridTimestamp, _ body: (Position) -> Bool) {
        let first = Position.beginning(of: moment)
        var (a, b) = (history.firstIndex(notBefore: first), others.firstIndex(notBefore: first))
        while a < history.count || b < others.count {
            if b == others.count || (a < history.count && history[a] < others[b]) {
                if !body(history[a]) { return }
                a += 1
            } else {
                if !body(others[b]) { return }
                b += 1
            }
        }
    }

    private static func insert(_ position: Position, into positions: inout [Position]) {
        if let last = positions.last, position < last {
            positions.insert(position, at: positions.firstIndex(notBefore: position))
        } else {
            positions.append(position)
        }
    }

    private static func remove(_ position: Position, from positions: inout [Position]) -> Bool {
        let at = positions.firstIndex(notBefore: position)
        guard at < positions.count, positions[at] == position else { return false }
        positions.remove(at: at)
        return true
    }
}

extension Array<Position> {
    /// Of sorted positions.
    fileprivate func firstIndex(notBefore position: Position) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < position { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

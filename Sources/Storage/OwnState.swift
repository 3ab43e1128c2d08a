// What a store has of the logs that have not forked, as a snapshot that another's state is joined with.
//
// Who takes over another's state keeps what it alone has (`OwnSide`). Of a log that it has folded beyond what the other has,
// only messages and system events are there as entries, and what its writes did to documents is in the documents. So these
// come as rows: those that stand under numbers of logs that have not forked. What a losing suffix did to a document besides,
// it does again under its other name: what it wrote to a register wins again, since it keeps its time, and what it removed it
// removes again.
//
// Invariant: `through` is closed, as far as entries tell: nothing within it and beyond the other's vector depends on what is
// not within either. A log whose entry would do that is taken only up to the entry before it that is still here, or not at
// all, for its last hash must be known.

import ConvergeCRDT
import ConvergeWire

struct OwnState {
    /// How far each of the logs is taken: also where the other side has as much or more.
    private(set) var through: VersionVector
    /// How those end of which there is more here than there.
    private(set) var heads: [LogEnd] = []
    /// From which entry on a log goes on under another name, for want of what that depends on.
    private(set) var tainted: [Dot] = []

    /// - Parameters:
    ///   - logs: how those that have not forked end here.
    ///   - at: the other side's vector.
    ///   - news: the entries that only this side has, also of forked logs, in a causal order.
    init(_ logs: [LogEnd], at: VersionVector, among news: [Entry]) {
        var ends: [ReplicaID: LogEnd] = [:]
        for end in logs { ends[end.dot.replica] = end }
        through = VersionVector(logs.map(\.dot))
        var cut: [ReplicaID: Dot] = [:]
        var isClosed = false
        while !isClosed {
            isClosed = true
            for entry in news where through.covers(entry.dot) && !at.covers(entry.dot) {
                let isMissing = entry.dependencies.contains { !at.covers($0) && !through.covers($0) }
                guard isMissing else { continue }
                let before = news.last { $0.dot.replica == entry.dot.replica && $0.dot.seq < entry.dot.seq }
                let log = entry.dot.replica
                cut[log] = entry.dot
                through[log] = max(before?.dot.seq ?? 0, min(at[log], through[log]))
                ends[log] = before.map { LogEnd(dot: $0.dot, hash: $0.hash) }
                isClosed = false
            }
        }
        tainted = cut.values.sorted()
        heads = through.components.compactMap { dot in
            guard dot.seq > at[dot.replica], let end = ends[dot.replica], end.dot == dot else { return nil }
            return end
        }
    }

    /// Of logs that have parted, what both sides have is known to both: what it added and one side lacks, that side has removed.
    func knowing(_ parted: VersionVector) -> OwnState {
        var state = self
        for dot in parted.components { state.through[dot.replica] = max(state.through[dot.replica], dot.seq) }
        return state
    }

    /// The final and only piece of the snapshot, of what is here. O(n) for n documents, keys and seats, and entries beyond `at`.
    func read(from source: some SnapshotSource, beyond at: VersionVector) throws(StoreError) -> SnapshotChunk {
        var chunk = SnapshotChunk(number: 0, status: .final, at: through)
        _ = try source.documents(after: nil, since: at) { (found) throws(StoreError) in
            chunk.documents.append(
                SnapshotDocument(
                    id: found.id, touched: VersionVector(found.touched.components.filter(through.covers)),
                    cells: found.cells.filter { through.covers($0.dot) }))
            return true
        }
        _ = try source.attendance(after: nil, since: at) { (found) throws(StoreError) in
            if through.covers(found.position.dot) { chunk.attendance.append(found) }
            return true
        }
        _ = try source.keys(after: nil, since: at) { (found) throws(StoreError) in
            if through.covers(found.position.dot) { chunk.keys.append(found) }
            return true
        }
        var floors = VersionVector()
        let end = try source.end()
        for head in heads {
            _ = try source.entries(of: head.dot.replica, after: at[head.dot.replica]) { (found) throws(StoreError) in
                if found.dot.seq > head.dot.seq { return false }
                chunk.entries.append(found)
                return true
            }
            floors[head.dot.replica] = min(end.floors[head.dot.replica], head.dot.seq)
            let horizon = source.horizon[head.dot.replica]
            if horizon > at[head.dot.replica] { chunk.horizon[head.dot.replica] = min(horizon, head.dot.seq) }
        }
        chunk.end = SnapshotEnd(heads: heads, floors: floors, clock: end.clock)
        return chunk
    }
}

// One piece of a snapshot, read from a store: the order of a pass, where a piece ends, and what that means.
//
// Invariant: the server keeps nothing. Whatever a piece does not tell, the next one of the pass does, since both follow
// one order: documents by (room, kind, name), attendance by (room, user), keys by id, entries by (replica, seq).

import ConvergeCRDT
import ConvergeWire

/// What a pass reads, at one moment. Each calls `body` in order, for what stands after the given place and is not
/// covered by `since`, until that returns false; and returns whether it got to the end.
protocol SnapshotSource {
    var vector: VersionVector { get }
    /// Of all logs.
    var horizon: VersionVector { get }
    func end() throws(StoreError) -> SnapshotEnd
    func documents(
        after: DocumentID?, since: VersionVector, _ body: (SnapshotDocument) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool
    func attendance(
        after: (room: Text, user: Text)?, since: VersionVector, _ body: (AttendanceRecord) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool
    func keys(
        after: MessageID?, since: VersionVector, _ body: (KeyPosition) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool
    /// Of one log, below the floor what is retained.
    func entries(
        of replica: ReplicaID, after seq: UInt64, _ body: (Entry) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool
}

enum SnapshotPass {
    /// Where the receiver's copy of a log is not the beginning of the one here: of the two the longer stays, or of two as
    /// long the one with the higher hash; if that is the receiver's, there is nothing for it here.
    ///
    /// Where the entry that the receiver ends with is folded here, the copies can't be compared: so stand nodes that were
    /// away for longer than entries are kept, and sides of a fork. The receiver takes over the state here, which is right
    /// either way, if it has nothing that is not here, or has all of that as entries, which it puts on top. If it has folded
    /// what is not here, they count as one log: a node of an earlier build would lose that by taking the state here.
    private static func refusal(
        of want: SnapshotWant, from source: some SnapshotSource
    ) throws(StoreError) -> SnapshotChunk.Status? {
        guard want.after == nil, !want.hashes.isEmpty else { return nil }
        let heads = try source.end().heads
        var refusal: SnapshotChunk.Status?
        var isOpen = false
        for (dot, hash) in zip(want.have.components, want.hashes) where source.vector.covers(dot) {
            var known = heads.first { $0.dot == dot }?.hash.high
            if known == nil {
                _ = try source.entries(of: dot.replica, after: dot.seq - 1) { (entry) throws(StoreError) in
                    if entry.dot == dot { known = entry.hash.high }
                    return false
                }
            }
            if known == hash { continue }
            guard let known else {
                isOpen = true
                continue
            }
            if dot.seq < source.vector[dot.replica] || known > hash { return .forked }
            refusal = .unavailable
        }
        if isOpen, refusal == nil, want.mayReload || source.vector.covers(want.have) { return .forked }
        return refusal
    }

    static func read(_ want: SnapshotWant, from source: some SnapshotSource) throws(StoreError) -> SnapshotChunk {
        var chunk = SnapshotChunk(number: want.number, status: .behind, at: source.vector)
        guard source.vector.covers(want.reached) else { return chunk }
        if let refusal = try refusal(of: want, from: source) {
            chunk.status = refusal
            return chunk
        }
        let since = want.since
        var left = Int(clamping: want.limit)
        var next: SnapshotCursor?
        /// Whether one thing more goes into this piece; at least one does.
        func fits(_ bytes: Int, _ cursor: SnapshotCursor) -> Bool {
            if next != nil, bytes > left { return false }
            left -= bytes
            next = cursor
            return true
        }

        func rest() throws(StoreError) -> Bool {
            var section = 0
            var document: DocumentID?
            var seat: (room: Text, user: Text)?
            var key: MessageID?
            var dot: Dot?
            switch want.after {
            case nil: break
            case .document(let id): document = id
            case .attendance(let room, let user): (section, seat) = (1, (room, user))
            case .key(let id): (section, key) = (2, id)
            case .entry(let last): (section, dot) = (3, last)
            }
            if section <= 0 {
                let ended = try source.documents(after: document, since: since) { (found) throws(StoreError) in
                    guard found.id.kind.rawValue <= want.lastKind else { return true }
                    guard fits(found.approximateBytes, .document(found.id)) else { return false }
                    chunk.documents.append(found)
                    return true
                }
                if !ended { return false }
            }
            if section <= 1 {
                let ended = try source.attendance(after: seat, since: since) { (found) throws(StoreError) in
                    let cursor = SnapshotCursor.attendance(room: found.room, user: found.user)
                    guard fits(found.approximateBytes, cursor) else { return false }
                    chunk.attendance.append(found)
                    return true
                }
                if !ended { return false }
            }
            if section <= 2 {
                let ended = try source.keys(after: key, since: since) { (found) throws(StoreError) in
                    guard fits(KeyPosition.approximateBytes, .key(found.id)) else { return false }
                    chunk.keys.append(found)
                    return true
                }
                if !ended { return false }
            }
            for head in source.vector.components where dot.map({ head.replica >= $0.replica }) ?? true {
                let resumed = dot.map { $0.replica == head.replica ? $0.seq : 0 } ?? 0
                let ended = try source.entries(of: head.replica, after: max(since[head.replica], resumed)) {
                    (found) throws(StoreError) in
                    guard fits(found.approximateBytes, .entry(found.dot)) else { return false }
                    chunk.entries.append(found)
                    return true
                }
                if !ended { return false }
            }
            return true
        }

        if try !rest() {
            chunk.status = .more
            chunk.next = next
        } else if want.after == nil {
            chunk.status = .final
            chunk.end = try source.end()
        } else {
            chunk.status = .passEnded
        }
        // Pieces before the entries say nothing of them: another server may go on from there.
        if chunk.status != .more || !chunk.entries.isEmpty {
            chunk.horizon = VersionVector(source.horizon.components.filter { !since.covers($0) })
        }
        return chunk
    }
}

// What things take on the wire, or a little more.

extension DocumentCell {
    var approximateBytes: Int { 40 + key.byteCount + value.byteCount }
}

extension SnapshotDocument {
    var approximateBytes: Int {
        16 + id.room.byteCount + id.name.byteCount + 16 * touched.components.count
            + cells.reduce(0) { $0 + $1.approximateBytes }
    }
}

extension AttendanceRecord {
    var approximateBytes: Int { 40 + room.byteCount + user.byteCount + displayName.byteCount }
}

extension KeyPosition {
    static let approximateBytes = 44
}

import ConvergeCRDT
import ConvergeWire

@testable import ConvergeGossip

/// What a node of the test network has stored: logs from their floors on, and a state that is what a store's documents
/// are to a snapshot.
///
/// The state has one document a room; `touched` is all there is to a document, so it is a function of the version vector
/// that anybody can compute from the entries ever written.
struct ReplicatorDisk {
    private(set) var vector = VersionVector()
    private(set) var floors = VersionVector()
    /// Each log's entries above its floor.
    private(set) var logs: [ReplicaID: [Entry]] = [:]
    private(set) var hashes: [ReplicaID: EntryHash] = [:]
    private(set) var documents: [Text: VersionVector] = [:]
    private var staged: [Text: VersionVector] = [:]

    var ends: [LogEnd] { vector.components.map { LogEnd(dot: $0, hash: hashes[$0.replica] ?? .zero) } }

    mutating func append(_ entry: Entry) {
        vector.advance(to: entry.dot)
        logs[entry.dot.replica, default: []].append(entry)
        hashes[entry.dot.replica] = entry.hash
        documents[entry.room, default: VersionVector()].advance(to: entry.dot)
    }

    /// Drops each log's entries up to these, as folding does.
    mutating func raiseFloors(to through: VersionVector) {
        for dot in through.components {
            let floor = min(dot.seq, vector[dot.replica])
            guard floor > floors[dot.replica] else { continue }
            floors[dot.replica] = floor
            logs[dot.replica]?.removeAll { $0.dot.seq <= floor }
        }
    }

    /// The wanted entries in the order of their positions, up to so many bytes but at least one.
    func read(_ ranges: [LogRange], bytes: Int) -> RangeAnswer {
        if ranges.contains(where: { $0.after < floors[$0.replica] }) {
            return RangeAnswer(entries: [], isComplete: false, belowFloor: true)
        }
        var entries: [Entry] = []
        for range in ranges {
            entries += (logs[range.replica] ?? []).filter { $0.dot.seq > range.after && $0.dot.seq <= range.through }
        }
        entries.sort { $0.position < $1.position }
        var sum = 0
        let cut = entries.firstIndex {
            sum += $0.waitingBytes
            return sum > bytes
        }
        guard let cut, cut < entries.count else {
            return RangeAnswer(entries: entries, isComplete: true, belowFloor: false)
        }
        return RangeAnswer(entries: Array(entries.prefix(max(1, cut))), isComplete: false, belowFloor: false)
    }

    // MARK: Snapshots

    /// One piece, as `SnapshotWant` tells it. A document counts for `documentBytes`.
    func read(_ want: SnapshotWant, comparesEnds: Bool) -> SnapshotChunk {
        var chunk = SnapshotChunk(number: want.number, status: .behind, at: vector)
        guard vector.covers(want.reached) else { return chunk }
        if comparesEnds, let refusal = refusal(of: want) {
            chunk.status = refusal
            return chunk
        }
        var after: Text?
        if case .document(let id)? = want.after { after = id.room }
        let rest = documents.filter { !want.since.covers($0.value) && (after == nil || $0.key > after!) }
            .sorted { $0.key < $1.key }
        let room = max(1, Int(want.limit) / Self.documentBytes)
        chunk.documents = rest.prefix(room).map {
            SnapshotDocument(id: Self.id($0.key), touched: $0.value, cells: [])
        }
        if rest.count > room {
            chunk.status = .more
            chunk.next = .document(Self.id(rest[room - 1].key))
        } else if want.after != nil {
            chunk.status = .passEnded
        } else {
            chunk.status = .final
            chunk.end = SnapshotEnd(heads: ends, floors: floors, clock: .zero)
        }
        return chunk
    }

    /// As stores do: where the receiver's copy of a log is not known to be the beginning of this one.
    private func refusal(of want: SnapshotWant) -> SnapshotChunk.Status? {
        guard want.after == nil else { return nil }
        var refusal: SnapshotChunk.Status?
        for (dot, hash) in zip(want.have.components, want.hashes) where vector.covers(dot) {
            let known =
                vector[dot.replica] == dot.seq
                ? hashes[dot.replica]?.high : logs[dot.replica]?.first { $0.dot == dot }?.hash.high
            if known == hash { continue }
            if dot.seq < vector[dot.replica] || known ?? 0 > hash { return .forked }
            refusal = .unavailable
        }
        return refusal
    }

    static let documentBytes = 100

    private static func id(_ room: Text) -> DocumentID { DocumentID(room: room, kind: .orSet, name: "d") }

    mutating func discardStage() { staged = [:] }

    mutating func stage(_ chunk: SnapshotChunk) {
        for document in chunk.documents { staged[document.id.room, default: VersionVector()].merge(document.touched) }
    }

    mutating func install(_ chunk: SnapshotChunk) {
        stage(chunk)
        for (room, touched) in staged { documents[room, default: VersionVector()].merge(touched) }
        staged = [:]
        for head in chunk.end?.heads ?? [] where head.dot.seq > vector[head.dot.replica] {
            floors[head.dot.replica] = head.dot.seq
            logs[head.dot.replica] = nil
            hashes[head.dot.replica] = head.hash
        }
        vector.merge(chunk.at)
    }
}

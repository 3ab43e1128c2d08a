// What a store holds, as a plain value: the reference for what `Batch`, `Pruning` and a snapshot mean.
//
// Invariant: applying a batch either checks out whole or changes nothing, and the result depends on the set of entries
// alone, not on the order in which their logs came in (and nothing that is handed out follows the order of a Dictionary
// or Set).

import ConvergeCRDT
import ConvergeWire

struct MemoryContents: Sendable {
    private(set) var vector = VersionVector()
    private(set) var clock = HybridTimestamp.zero
    private var logs: [ReplicaID: MemoryLog] = [:]
    private var rooms: [Text: MemoryRoom] = [:]
    private var keys: [MessageID: Position] = [:]
    private var documents: [DocumentID: MemoryDocument] = [:]
    private var attendance: [Seat: AttendanceRecord] = [:]
    private var members: [Text: StoredMember] = [:]
    /// The sum over what history shows, documents and attendance, as `ContentHash` has them.
    private(set) var fingerprint: UInt64 = 0
    private let faults: StoreFaults

    init(faults: StoreFaults = StoreFaults()) { self.faults = faults }

    private struct Seat: Hashable, Sendable {
        var room: Text
        var user: Text
    }

    // MARK: Writing

    /// Applies the whole batch, or throws and leaves everything as it was. O(entries + effects).
    mutating func apply(_ batch: Batch) throws(StoreError) {
        vector = try BatchRules.check(batch, after: vector)
        for entry in batch.entries {
            clock = max(clock, entry.timestamp)
            logs[entry.dot.replica, default: MemoryLog()].append(entry)
            show(entry)
        }
        for effect in batch.effects { apply(effect) }
    }

    private mutating func show(_ entry: Entry) {
        let shown = BatchRules.shown(entry)
        if shown == .nowhere { return }
        rooms[entry.room, default: MemoryRoom()].insert(entry.position, shown: shown)
        if shown == .history { fingerprint &+= ContentHash.shown(entry) }
    }

    /// Whether history showed it.
    @discardableResult
    private mutating func hide(_ entry: Entry) -> Bool {
        let wasShown = rooms[entry.room]?.remove(entry.position, kind: entry.kind) ?? false
        if wasShown { fingerprint &-= ContentHash.shown(entry) }
        return wasShown
    }

    private mutating func apply(_ effect: StoreEffect) {
        switch effect {
        case .key(let id, let position):
            take(id, at: position)
        case .hide(let dot):
            if let entry = entry(dot) { hide(entry) }
        case .redact(let dot):
            redact(dot)
        case .cells(let change): self.change(change.document) { $0.apply(change) }
        case .attendance(let record):
            take(record)
        case .remember(let member):
            members[member.address] = member
        case .forget(let address):
            members[address] = nil
        }
    }

    private mutating func change(_ id: DocumentID, _ body: (inout MemoryDocument) -> Void) {
        func change(_ document: inout MemoryDocument) -> UInt64 {
            let before = document.fingerprint
            body(&document)
            return document.fingerprint &- before
        }
        fingerprint &+= change(&documents[id, default: MemoryDocument(id)])
    }

    /// Of twins the earliest is shown, and no other.
    private mutating func take(_ id: MessageID, at position: Position) {
        guard let held = keys[id] else {
            keys[id] = position
            return
        }
        if position < held { keys[id] = position }
        if !faults.keepsTwins, position != held, let twin = entry(max(position, held).dot) { hide(twin) }
    }

    private mutating func take(_ record: AttendanceRecord) {
        let seat = Seat(room: record.room, user: record.user)
        if let held = attendance[seat] {
            guard record.supersedes(held) else { return }
            fingerprint &-= ContentHash.attendance(held)
        }
        attendance[seat] = record
        fingerprint &+= ContentHash.attendance(record)
    }

    private mutating func redact(_ dot: Dot) {
        guard let entry = entry(dot), entry.kind == .message, !entry.flags.contains(.redacted) else { return }
        hide(entry)
        logs[dot.replica]?.replace(EntryChain().redacted(entry))
    }

    // MARK: Pruning

    /// See `StoreWriter.prune`.
    mutating func prune(_ pruning: Pruning) -> Pruned {
        var pruned = Pruned(dropped: 0, floors: VersionVector(), hasMore: false)
        let limit = max(0, pruning.limit)
        for head in vector.components {
            let old = logs[head.replica]?.dropOld(before: pruning.entriesBefore, limit: limit) ?? []
            let folded =
                logs[head.replica]?.fold(
                    through: pruning.foldThrough[head.replica], limit: limit - old.count,
                    foldsUnknown: faults.foldsUnknownKinds)
                ?? (gone: [], seen: 0)
            for entry in old where hide(entry) { logs[head.replica]?.lose(entry.dot.seq) }
            for entry in folded.gone { hide(entry) }
            pruned.dropped += old.count + folded.gone.count
            if old.count + folded.seen == limit { pruned.hasMore = true }
            pruned.floors[head.replica] = logs[head.replica]?.floor ?? 0
        }
        if pruning.keysBefore > .zero {
            let forgotten = keys.filter { $0.value.timestamp < pruning.keysBefore }.sorted { $0.value < $1.value }
                .prefix(limit)
            for (id, _) in forgotten { keys[id] = nil }
            pruned.dropped += forgotten.count
            if forgotten.count == limit { pruned.hasMore = true }
        }
        return pruned
    }

    // MARK: Snapshots

    /// See `StoreWriter.install`.
    mutating func install(_ stage: SnapshotStage, _ final: SnapshotChunk, have: VersionVector) throws(StoreError) {
        let install = try SnapshotInstall(final, have: have, mine: vector)
        var stage = stage
        stage.take(final)

        if faults.emptiesUnsent {
            for id in documents.keys where stage.documents[id] == nil {
                join(SnapshotDocument(id: id, touched: VersionVector(), cells: []), at: install.theirs)
            }
        }
        for document in stage.sortedDocuments { join(document, at: install.theirs) }
        let news = stage.sortedEntries.filter { install.takes($0.dot) }
        var runs = SnapshotInstall.Runs()
        for entry in news { runs.take(entry.dot) }
        for log in install.news {
            let replica = log.dot.replica
            let own = news.filter { $0.dot.replica == replica }
            let unbroken = runs.unbroken(upTo: log.dot, after: install.mine)
            func change(_ held: inout MemoryLog) {
                let floor = install.floor(of: replica, own: held.floor, unbroken: unbroken)
                let horizon = install.horizon(
                    of: replica, own: held.horizon, told: stage.horizon[replica], floor: floor)
                held.install(own, floor: floor, horizon: horizon, hash: log.hash)
            }
            change(&logs[replica, default: MemoryLog()])
            vector.advance(to: log.dot)
        }
        for entry in news { show(entry) }
        clock = max(clock, install.end.clock)
        for entry in news {
            clock = max(clock, entry.timestamp)
            for effect in SnapshotInstall.followUp(of: entry) { apply(effect) }
        }
        for key in stage.keys { take(key.id, at: key.position) }
        for record in stage.attendance { take(record) }
    }

    /// See `StoreWriter.reload`.
    mutating func reload(_ stage: SnapshotStage, _ final: SnapshotChunk) throws(StoreError) {
        var fresh = MemoryContents(faults: faults)
        try fresh.install(stage, final, have: VersionVector())
        let own = try OwnSide(
            mine: ends, at: fresh.vector, theirs: fresh.ends, in: Sides(here: self, there: fresh))
        if let state = own.state {
            let chunk = try state.read(from: self, beyond: fresh.vector)
            try fresh.install(SnapshotStage(), chunk, have: VersionVector())
        }
        try fresh.apply(own.batch)
        fresh.members = members
        fresh.clock = max(fresh.clock, clock)
        self = fresh
    }

    private struct Sides: BothSides {
        let here: MemoryContents
        let there: MemoryContents

        func entries(
            of replica: ReplicaID, after seq: UInt64, _ body: (Entry) throws(StoreError) -> Bool
        ) throws(StoreError) {
            _ = try here.logs[replica]?.forEach(after: seq, body)
        }

        func floor(of replica: ReplicaID) -> UInt64 { here.logs[replica]?.floor ?? 0 }

        func hashThere(of dot: Dot) -> EntryHash? { there.hash(of: dot) }
    }

    private mutating func join(_ document: SnapshotDocument, at theirs: VersionVector) {
        let ignores = faults.ignoresSnapshotContext
        let (context, otherContext) = ignores ? (VersionVector(), VersionVector()) : (vector, theirs)
        change(document.id) { held in
            held.apply(document.joined(to: held.cells, context: context, otherContext: otherContext))
        }
    }

    /// The planted fault: what should only be staged takes effect.
    mutating func installEarly(_ chunk: SnapshotChunk) {
        for document in chunk.documents { join(document, at: chunk.at) }
    }

    // MARK: Reading

    private var cells: [StoredCell] {
        sortedDocuments.flatMap { document in document.cells.map { StoredCell($0, of: document.id) } }
    }

    private var sortedDocuments: [MemoryDocument] {
        documents.values.sorted { DocumentID.inStoreOrder($0.id, $1.id) }
    }

    private var sortedAttendance: [AttendanceRecord] { attendance.values.sorted(by: AttendanceRecord.inStoreOrder) }

    private var sortedKeys: [KeyPosition] {
        keys.map { KeyPosition(id: $0.key, position: $0.value) }.sorted(by: KeyPosition.inStoreOrder)
    }

    var floors: VersionVector {
        var floors = VersionVector()
        for head in vector.components { floors[head.replica] = logs[head.replica]?.floor ?? 0 }
        return floors
    }

    var horizon: VersionVector {
        VersionVector(vector.components.map { Dot(replica: $0.replica, seq: logs[$0.replica]?.horizon ?? 0) })
    }

    var ends: [LogEnd] {
        vector.components.map { LogEnd(dot: $0, hash: logs[$0.replica]?.lastHash ?? .zero) }
    }

    /// What opening tells, under this identity.
    func recovered(_ identity: StoredIdentity, renewal: RenewalReason?, attendanceLimit: Int) -> Recovered {
        recovered(identity.replica, boot: identity.boot, renewal: renewal, attendanceLimit: attendanceLimit)
    }

    func recovered(
        _ replica: ReplicaID, boot: UInt64, renewal: RenewalReason?, attendanceLimit: Int
    ) -> Recovered {
        let left = attendance.values.filter { !$0.isJoined }.map(\.position).sorted()
        let complete = left.count <= attendanceLimit
        let earliest = complete ? nil : attendanceLimit > 0 ? left[left.count - attendanceLimit] : nil
        let told = sortedAttendance.filter { record in
            record.isJoined || complete || earliest.map { record.position >= $0 } ?? false
        }
        return Recovered(
            replica: replica, boot: boot, vector: vector, headHash: logs[replica]?.lastHash ?? .zero, clock: clock,
            ends: ends, floors: floors, documents: cells, attendance: told, attendanceComplete: complete,
            members: members.values.sorted { $0.address < $1.address }, renewal: renewal)
    }

    var state: MemoryState {
        MemoryState(
            vector: vector, floors: floors, horizon: horizon,
            documents: sortedDocuments.map { SnapshotDocument(id: $0.id, touched: $0.touched, cells: $0.cells) }
                .filter { !$0.touched.isEmpty || !$0.cells.isEmpty },
            history: rooms.keys.sorted().compactMap { room in
                let positions = rooms[room]?.history ?? []
                return positions.isEmpty ? nil : MemoryState.Shown(room: room, positions: positions)
            },
            attendance: sortedAttendance, keys: sortedKeys)
    }

    var shown: [Entry] {
        rooms.keys.sorted().flatMap { room in (rooms[room]?.history ?? []).compactMap { entry($0.dot) } }
    }

    func history(room: Text, before: Position?, limit: Int, within bound: VersionVector) -> [Entry] {
        guard limit > 0, let room = rooms[room] else { return [] }
        return room.history(before: before, limit: limit, within: bound).compactMap { entry($0.dot) }
    }

    func entries(room: Text, after cursor: VersionVector, limit: Int, within bound: VersionVector) -> [Entry] {
        guard limit > 0, let room = rooms[room] else { return [] }
        // No entry that the cursor lacks stands before this: a replica's timestamps grow with its seq.
        var earliest: HybridTimestamp?
        for head in vector.components where !cursor.covers(head) {
            guard let first = logs[head.replica]?.first(after: cursor[head.replica]) else { continue }
            earliest = min(earliest ?? first.timestamp, first.timestamp)
        }
        guard let earliest else { return [] }
        var missed: [Entry] = []
        room.forEach(from: earliest) { position in
            if !cursor.covers(position.dot), bound.covers(position.dot), let entry = entry(position.dot) {
                missed.append(entry)
            }
            return missed.count < limit
        }
        return missed
    }

    func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) -> [Entry] {
        logs[replica].map { Array($0.run(from: seq, limit: limit)) } ?? []
    }

    func range(_ ranges: [LogRange], limit bytes: Int) throws(StoreError) -> RangeRead {
        try LogMerge.read(
            ranges, limit: bytes, byPosition: faults.rangesByPosition,
            floor: { (replica) throws(StoreError) in logs[replica]?.floor ?? 0 },
            entries: { (replica, seq, limit) throws(StoreError) in entries(of: replica, from: seq, limit: limit) })
    }

    func positions(of ids: [MessageID]) -> [MessageID: Position] {
        var found: [MessageID: Position] = [:]
        for id in ids { found[id] = keys[id] }
        return found
    }

    func attendance(of seats: [(room: Text, user: Text)]) -> [AttendanceRecord] {
        seats.compactMap { attendance[Seat(room: $0.room, user: $0.user)] }
    }

    func documents(of room: Text, beyond cursor: VersionVector, limit: Int) -> [DocumentID] {
        let changed = documents.values.filter { $0.id.room == room && !cursor.covers($0.touched) }.map(\.id)
        return Array(changed.sorted(by: DocumentID.inStoreOrder).prefix(max(0, limit)))
    }

    func hash(of dot: Dot) -> EntryHash? {
        if let entry = entry(dot) { return entry.hash }
        return dot.seq > 0 && vector[dot.replica] == dot.seq ? logs[dot.replica]?.lastHash : nil
    }

    private func entry(_ dot: Dot) -> Entry? { logs[dot.replica]?[dot.seq] }
}

extension MemoryContents: SnapshotSource {
    func end() -> SnapshotEnd { SnapshotEnd(heads: ends, floors: floors, clock: clock) }

    func documents(
        after: DocumentID?, since: VersionVector, _ body: (SnapshotDocument) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        let news = documents.values.filter { document in
            !since.covers(document.touched) && after.map { DocumentID.inStoreOrder($0, document.id) } ?? true
        }
        for document in news.sorted(by: { DocumentID.inStoreOrder($0.id, $1.id) }) {
            let whole = SnapshotDocument(id: document.id, touched: document.touched, cells: document.cells)
            if try !body(whole) { return false }
        }
        return true
    }

    func attendance(
        after: (room: Text, user: Text)?, since: VersionVector, _ body: (AttendanceRecord) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        let news = attendance.values.filter { record in
            !since.covers(record.position.dot) && after.map { $0 < (record.room, record.user) } ?? true
        }
        for record in news.sorted(by: AttendanceRecord.inStoreOrder) where try !body(record) { return false }
        return true
    }

    func keys(
        after: MessageID?, since: VersionVector, _ body: (KeyPosition) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        var news: [KeyPosition] = []
        for (id, position) in keys
        where !since.covers(position.dot) && after.map({ KeyPosition.inStoreOrder($0, id) }) ?? true {
            news.append(KeyPosition(id: id, position: position))
        }
        for key in news.sorted(by: KeyPosition.inStoreOrder) where try !body(key) { return false }
        return true
    }

    func entries(
        of replica: ReplicaID, after seq: UInt64, _ body: (Entry) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        try logs[replica]?.forEach(after: seq, body) ?? true
    }
}

extension AttendanceRecord {
    static func inStoreOrder(_ a: AttendanceRecord, _ b: AttendanceRecord) -> Bool {
        a.room == b.room ? a.user < b.user : a.room < b.room
    }
}

extension KeyPosition {
    static func inStoreOrder(_ a: KeyPosition, _ b: KeyPosition) -> Bool { inStoreOrder(a.id, b.id) }

    static func inStoreOrder(_ a: MessageID, _ b: MessageID) -> Bool {
        a.high == b.high ? a.low < b.low : a.high < b.high
    }
}

/// All that a store in memory holds, in one form: equal contents are equal values.
public struct MemoryState: Hashable, Sendable {
    public struct Shown: Hashable, Sendable {
        public var room: Text
        public var positions: [Position]
    }

    public var vector: VersionVector
    public var floors: VersionVector
    public var horizon: VersionVector
    /// Sorted by room, kind, name.
    public var documents: [SnapshotDocument]
    /// What history shows, sorted by room; rooms without any are left out.
    public var history: [Shown]
    /// Sorted by room, user.
    public var attendance: [AttendanceRecord]
    /// Sorted by id.
    public var keys: [KeyPosition]
}

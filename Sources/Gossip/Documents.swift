import ConvergeCRDT
import ConvergeWire

// The shared documents of all rooms, as the log's entries make them.
//
// Their dots are the log's. An entry reaches `apply` once, and after all that its writer had seen; so the node's version
// vector is the causal context of every document, and no document keeps a context or a tombstone of its own. A remove
// names the dots that it saw; they are all here or gone, and an add that it did not see stays, because it has another.
//
// Invariant: what the documents hold is a function of the set of entries applied, whatever causal order they came in.
//
// Local writes take effect when they enter a batch, before it is stored: whoever feeds the log takes a `mark` at the end
// of each batch, settles it when the batch is stored, and rolls back to the mark before when it is not.
//
// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018); Bieniusa et al.: "An Optimized Conflict-free
// Replicated Set" (2012).

/// How large the documents of a room may grow by local writes. Entries of the log are applied whatever the limits say:
/// two sides of a partition may fill a document together, and what is in the log is in the documents.
public struct DocumentLimits: Hashable, Sendable {
    public var documentsPerRoom: Int
    public var elementsPerDocument: Int

    public init(documentsPerRoom: Int = 1_000, elementsPerDocument: Int = 100_000) {
        self.documentsPerRoom = documentsPerRoom
        self.elementsPerDocument = elementsPerDocument
    }
}

/// Why a local write was not taken.
public enum DocumentRefusal: Error, Hashable, Sendable {
    /// One element more than a document may have, or one document more than a room may.
    case documentFull
    /// An amount over `DocumentDelta.largestAmount`, or a total that would be over `CounterTotals.limit`.
    case counterOverflow
}

/// What an entry changed in effect: what is to be shown of it.
public enum DocumentChange: Hashable, Sendable {
    /// The element is in the set now, whether or not it was before.
    case added(Text)
    /// The element is not in the set now, whether or not it was before.
    case removed(Text)
    /// A concurrent add keeps the element in the set: there is nothing to show.
    case survived(Text)
    /// The value that stands now, and whether this write made it so.
    case registerSet(standing: Text?, won: Bool)
    /// What the counter stands at now.
    case counted(value: Int64)
}

/// The documents of all rooms on the node's causal context.
public struct Documents: Sendable {
    public typealias Mark = UndoLog<Undo>.Mark

    var rooms: [Text: Room] = [:]
    var undoLog = UndoLog<Undo>()
    private var contents = DocumentsDigest()
    private let limits: DocumentLimits
    private let planted: PlantedFaults

    /// Documents that stand, in all rooms: OR-Sets with an element, and registers and counters that were ever written.
    public private(set) var documentCount = 0
    /// Elements of all OR-Sets.
    public private(set) var elementCount = 0
    /// A number for all that stands: the same on two nodes that have applied the same entries, in whatever order, local
    /// writes that are not stored yet included. O(1).
    public var digest: UInt64 { contents.value }

    public init(limits: DocumentLimits = .init(), planted: PlantedFaults = []) {
        self.limits = limits
        self.planted = planted
    }

    // MARK: What stands

    /// The elements of an OR-Set, sorted bytewise. O(n log n).
    public func elements(of document: DocumentID) -> [Text] {
        rooms[document.room]?.sets[document.name]?.keys.sorted() ?? []
    }

    /// The value of a register; nil where it was cleared or never written. O(1).
    public func value(of document: DocumentID) -> Text? {
        rooms[document.room]?.registers[document.name]?.value
    }

    /// What a counter stands at; nil where it was never written. O(1).
    ///
    /// Where all that was added and taken makes more than an `Int64` holds, it is the nearest that one does.
    public func count(of document: DocumentID) -> Int64? {
        rooms[document.room]?.counters[document.name]?.value
    }

    /// The documents that stand in a room, by name, and of one name by kind. O(n log n).
    public func documents(in room: Text) -> [(name: Text, kind: DocumentKind)] {
        guard let room = rooms[room] else { return [] }
        let all =
            room.sets.keys.map { (name: $0, kind: DocumentKind.orSet) }
            + room.registers.keys.map { (name: $0, kind: DocumentKind.register) }
            + room.counters.keys.map { (name: $0, kind: DocumentKind.counter) }
        return all.sorted { $0.name == $1.name ? $0.kind.rawValue < $1.kind.rawValue : $0.name < $1.name }
    }

    // MARK: What a local write means

    /// The delta of adding `element` now: its add takes the place of the dots it stands under. O(1).
    ///
    /// Throws `documentFull` where the element would be one too many, or its set a document too many in its room.
    public func deltaForAdd(_ element: Text, to document: DocumentID) throws(DocumentRefusal) -> DocumentDelta {
        let room = rooms[document.room]
        guard let set = room?.sets[document.name] else {
            try refuseNewDocument(in: room)
            guard limits.elementsPerDocument > 0 else { throw .documentFull }
            return .add(element: element, replacing: [])
        }
        let dots = set[element]
        if dots.isEmpty, set.count >= limits.elementsPerDocument { throw .documentFull }
        return .add(element: element, replacing: Array(dots))
    }

    /// The delta of removing `element` now: the dots it stands under, which may be none. O(1).
    public func deltaForRemove(_ element: Text, from document: DocumentID) -> DocumentDelta {
        .remove(element: element, observed: Array(rooms[document.room]?.sets[document.name]?[element] ?? DotSet()))
    }

    /// The delta of writing `value`; nil clears. O(1).
    ///
    /// Throws `documentFull` where the register would be a document too many in its room.
    public func deltaForSet(_ value: Text?, in document: DocumentID) throws(DocumentRefusal) -> DocumentDelta {
        let room = rooms[document.room]
        if room?.registers[document.name] == nil { try refuseNewDocument(in: room) }
        return .set(value: value)
    }

    /// The delta of adding `amount`, which may be negative, by `replica`: its totals after that. O(1).
    ///
    /// Throws `counterOverflow` where the amount or a total would be too large, `documentFull` where the counter would be a
    /// document too many in its room.
    public func deltaForCount(
        _ amount: Int64, in document: DocumentID, by replica: ReplicaID
    ) throws(DocumentRefusal) -> DocumentDelta {
        let room = rooms[document.room]
        let counter = room?.counters[document.name]
        if counter == nil { try refuseNewDocument(in: room) }
        guard let totals = (counter?[replica] ?? CounterTotals()).adding(amount) else { throw .counterOverflow }
        return .count(amount: amount, totals: totals)
    }

    private func refuseNewDocument(in room: Room?) throws(DocumentRefusal) {
        if (room?.count ?? 0) >= limits.documentsPerRoom { throw .documentFull }
    }

    // MARK: What the log brings

    /// Takes up one stored row at the start: an element under a dot, a register's write, or one replica's part of a
    /// counter. Rows come in any order, all before the first entry; they can't be rolled back. A set's row without a value,
    /// or a counter's without totals, says nothing. O(1) amortised.
    public mutating func load(_ row: DocumentRow) {
        load(row.document, value: row.value, totals: row.totals, dot: row.dot, timestamp: row.timestamp)
    }

    public mutating func load(
        _ document: DocumentID, value: Text?, totals: CounterTotals? = nil, dot: Dot, timestamp: HybridTimestamp
    ) {
        switch document.kind {
        case .orSet:
            guard let value else { return }
            changeSet(document, value) { $0.insert(value, dot: dot, replacing: []) }
        case .register:
            let write = LWWRegister(value, stamp: LWWStamp(timestamp: timestamp, replica: dot.replica))
            changeRegister(document) { register in
                if register?.merge(write) == nil { register = write }
            }
        case .counter:
            guard let totals else { return }
            changeCounter(document, dot.replica) { _ = $0.merge(totals, of: dot.replica) }
        }
    }

    /// Applies the delta of an entry under its dot and time, and says what it changed in effect. O(1) amortised.
    ///
    /// Each entry is applied once, and not before an entry that it depends on: whoever feeds the log sees to both.
    public mutating func apply(
        _ delta: DocumentDelta, to document: DocumentID, dot: Dot, timestamp: HybridTimestamp
    ) -> DocumentChange {
        precondition(delta.kind == document.kind, "a delta of a \(delta.kind) for a \(document.kind)")
        let planted = planted
        switch delta {
        case .add(let element, let replacing):
            let before = changeSet(document, element) { $0.insert(element, dot: dot, replacing: replacing) }
            undoLog.record(.element(document, element, before))
            return .added(element)

        case .remove(let element, let named):
            let (before, survives) = changeSet(document, element) {
                let observed = planted.has(.removeByElement) ? Array($0[element]) : named
                let before = $0.remove(element, observed: observed)
                return (before, !before.allSatisfy(observed.contains))
            }
            undoLog.record(.element(document, element, before))
            return survives ? .survived(element) : .removed(element)

        case .set(let value):
            let stamp = LWWStamp(timestamp: timestamp, replica: dot.replica)
            let (before, standing, won) = changeRegister(document) { register in
                let before = register
                let won = before?.yields(to: stamp) ?? true
                let isTaken = planted.has(.observedRemoveRegister) && value == nil
                if won { register = isTaken ? nil : LWWRegister(value, stamp: stamp) }
                return (before, won ? value : before?.value, won)
            }
            if won { undoLog.record(.register(document, before)) }
            return .registerSet(standing: standing, won: won)

        case .count(_, let totals):
            let (before, value) = changeCounter(document, dot.replica) {
                let known = $0[dot.replica] ?? CounterTotals()
                let totals = planted.has(.countersAsIncrements) ? known.incremented(by: totals) : totals
                let before = $0.merge(totals, of: dot.replica)
                return (before, $0.value)
            }
            undoLog.record(.counter(document, dot.replica, before))
            return .counted(value: value)
        }
    }

    // MARK: What is certain

    /// The point after everything applied so far.
    public var mark: Mark { undoLog.mark }

    /// The point before which nothing can be rolled back.
    public var settled: Mark { undoLog.settled }

    /// How many changes could be rolled back now.
    public var unsettledCount: Int { undoLog.count }

    /// What was applied before `mark` was taken is stored and stays. O(what is left to settle).
    public mutating func settle(through mark: Mark) { undoLog.settle(through: mark) }

    /// Undoes, newest first, all that was applied after `mark` was taken; the documents are then just what they were.
    ///
    /// `mark` must not lie before what is settled.
    public mutating func rollBack(to mark: Mark) {
        for undo in undoLog.takeBack(to: mark) {
            switch undo {
            case .element(let document, let element, let before):
                changeSet(document, element) { $0.update(element, to: before) }
            case .register(let document, let before):
                changeRegister(document) { $0 = before }
            case .counter(let document, let replica, let before):
                changeCounter(document, replica) { $0[replica] = before }
            }
        }
    }

    /// What a change found, and so what undoes it.
    public enum Undo: Sendable {
        case element(DocumentID, Text, DotSet)
        case register(DocumentID, LWWRegister<Text>?)
        case counter(DocumentID, ReplicaID, CounterTotals?)
    }

    // MARK: The documents of one room

    /// What stands in one room. A set that loses its last element goes, and makes room for another document; a register
    /// stays when it is cleared, since its stamp decides about writes still to come, and a counter whatever it stands at,
    /// since its replicas' totals only grow. So these two count for the limit.
    ///
    /// What has to outlive an empty set (which entries touched it) is the store's affair and has no place in here.
    struct Room: Sendable {
        var sets: [Text: DotMap<Text>] = [:]
        var registers: [Text: LWWRegister<Text>] = [:]
        /// None is empty.
        var counters: [Text: DocumentCounter] = [:]

        var count: Int { sets.count + registers.count + counters.count }
    }

    /// Changes one element of an OR-Set where it lies, without a copy, and keeps the counts and the digest.
    @discardableResult
    private mutating func changeSet<Result>(
        _ document: DocumentID, _ element: Text, _ change: (inout DotMap<Text>) -> Result
    ) -> Result {
        var before = 0
        var after = 0
        var hashes: (before: UInt64, after: UInt64) = (0, 0)
        func counted(_ set: inout DotMap<Text>) -> Result {
            before = set.count
            hashes.before = DocumentsDigest.element(element, under: set[element], of: document)
            defer {
                after = set.count
                hashes.after = DocumentsDigest.element(element, under: set[element], of: document)
            }
            return change(&set)
        }
        let result = counted(&rooms[document.room, default: Room()].sets[document.name, default: DotMap()])
        contents.change(from: hashes.before, to: hashes.after)
        elementCount += after - before
        documentCount += (after == 0 ? 0 : 1) - (before == 0 ? 0 : 1)
        if after == 0 {
            rooms[document.room]?.sets[document.name] = nil
            dropIfEmpty(document.room)
        }
        return result
    }

    /// Changes a register where it lies, and keeps the counts and the digest.
    @discardableResult
    private mutating func changeRegister<Result>(
        _ document: DocumentID, _ change: (inout LWWRegister<Text>?) -> Result
    ) -> Result {
        var created = 0
        var hashes: (before: UInt64, after: UInt64) = (0, 0)
        func counted(_ register: inout LWWRegister<Text>?) -> Result {
            created -= register == nil ? 0 : 1
            hashes.before = DocumentsDigest.register(register, of: document)
            defer {
                created += register == nil ? 0 : 1
                hashes.after = DocumentsDigest.register(register, of: document)
            }
            return change(&register)
        }
        let result = counted(&rooms[document.room, default: Room()].registers[document.name])
        contents.change(from: hashes.before, to: hashes.after)
        documentCount += created
        if created < 0 { dropIfEmpty(document.room) }
        return result
    }

    /// Changes one replica's part of a counter where it lies, and keeps the counts and the digest.
    @discardableResult
    private mutating func changeCounter<Result>(
        _ document: DocumentID, _ replica: ReplicaID, _ change: (inout DocumentCounter) -> Result
    ) -> Result {
        var created = 0
        var hashes: (before: UInt64, after: UInt64) = (0, 0)
        func counted(_ counter: inout DocumentCounter) -> Result {
            created -= counter.isEmpty ? 0 : 1
            hashes.before = DocumentsDigest.part(counter[replica], by: replica, of: document)
            defer {
                created += counter.isEmpty ? 0 : 1
                hashes.after = DocumentsDigest.part(counter[replica], by: replica, of: document)
            }
            return change(&counter)
        }
        let result = counted(&rooms[document.room, default: Room()].counters[document.name, default: DocumentCounter()])
        contents.change(from: hashes.before, to: hashes.after)
        documentCount += created
        if created < 0 {
            rooms[document.room]?.counters[document.name] = nil
            dropIfEmpty(document.room)
        }
        return result
    }

    private mutating func dropIfEmpty(_ room: Text) {
        if rooms[room]?.count == 0 { rooms[room] = nil }
    }
}

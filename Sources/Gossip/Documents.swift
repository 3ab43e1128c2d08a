import ConvergeCRDT
import ConvergeWire

// The shared documents of all rooms, as the log's entries make them.
//
// A document is a set of cells, which merge by the rule of its kind. Their dots are the log's. An entry reaches `apply` once,
// and after all that its writer had seen; so the node's version vector is the causal context of every document, and no
// document keeps a context or a tombstone of its own. A remove names the dots that it saw; they are all here or gone, and an
// add that it did not see stays, because it has another.
//
// Invariant: what the documents hold is a function of the set of entries applied, whatever causal order they came in.
//
// Local writes take effect when they enter a batch, before it is stored: whoever feeds the log takes a `mark` at the end
// of each batch, settles it when the batch is stored, and rolls back to the mark before when it is not.
//
// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018); Bieniusa et al.: "An Optimized Conflict-free
// Replicated Set" (2012).

/// The documents of all rooms on the node's causal context.
public struct Documents: Sendable {
    public typealias Mark = UndoLog<Undo>.Mark

    /// None has no documents, and no document is without a cell. So a set that loses its last element goes, and makes room
    /// for another document; a register stays when it is cleared, since its stamp decides about writes still to come, and a
    /// counter whatever it stands at. What has to outlive an empty set (which entries touched it) is the store's affair.
    var rooms: [Text: [Name: DocumentCells]] = [:]
    var undoLog = UndoLog<Undo>()
    private var contents = DocumentsDigest()
    private let limits: DocumentLimits
    private let planted: PlantedFaults

    /// A document within its room.
    struct Name: Hashable, Sendable {
        var kind: DocumentKind
        var name: Text
    }

    /// Documents that stand, in all rooms: those that have a cell.
    public private(set) var documentCount = 0
    /// What was put into all observed documents and is there: the elements of OR-Sets.
    public private(set) var elementCount = 0
    /// A number for all that stands: the same on two nodes that have applied the same entries, in whatever order, local
    /// writes that are not stored yet included. O(1).
    public var digest: UInt64 { contents.value }

    public init(limits: DocumentLimits = .init(), planted: PlantedFaults = []) {
        self.limits = limits
        self.planted = planted
    }

    // MARK: What stands

    /// The cells of a document; none where nothing was written to it, or all was taken away. O(1).
    public func cells(of document: DocumentID) -> DocumentCells {
        rooms[document.room]?[document.inRoom] ?? DocumentCells(rule: document.kind.rule)
    }

    /// What a document stands at, as its kind works it out of its cells.
    public func value(of document: DocumentID) -> DocumentValue { document.kind.form.value(of: cells(of: document)) }

    /// A number for what one document holds: another one after whatever changes it. O(n).
    public func digest(of document: DocumentID, before: DocumentsBefore?) -> UInt64 {
        let cells = cells(of: document, before: before)
        return cells.keys.reduce(0) { $0 &+ DocumentsDigest.part($1, in: cells, of: document) }
    }

    /// The documents that stand in a room, by name, and of one name by kind. O(n log n).
    public func documents(in room: Text) -> [(name: Text, kind: DocumentKind)] {
        Self.sorted(rooms[room]?.keys.map { $0 } ?? [])
    }

    static func sorted(_ names: [Name]) -> [(name: Text, kind: DocumentKind)] {
        names.sorted { $0.name == $1.name ? $0.kind.rawValue < $1.kind.rawValue : $0.name < $1.name }
            .map { ($0.name, $0.kind) }
    }

    // MARK: What a local write means

    /// What a write by `replica` comes to now. O(1).
    ///
    /// Throws `documentFull` where what it puts in would be one thing too many, or its document one too many in its room;
    /// and what the document's kind says of itself.
    public func delta(
        of write: DocumentWrite, to document: DocumentID, by replica: ReplicaID
    ) throws(DocumentRefusal) -> DocumentDelta {
        let cells = cells(of: document)
        if write.operation != .remove {
            if cells.isEmpty, rooms[document.room]?.count ?? 0 >= limits.documentsPerRoom { throw .documentFull }
            let isNew = cells.rule == .observed && cells[write.key].isEmpty
            if isNew, cells.keyCount >= limits.elementsPerDocument { throw .documentFull }
        }
        return try document.kind.form.delta(of: write, on: cells, by: replica)
    }

    // MARK: What the log brings

    /// Takes up one stored cell at the start. Cells come in any order, all before the first entry; they can't be rolled
    /// back. O(1) amortised.
    public mutating func load(_ stored: StoredCell) {
        change(stored.document, stored.cell.key) { $0.put(stored.cell) }
    }

    /// Applies the delta of an entry under its dot and time, and says what is to be shown of it. O(1) amortised; for what a
    /// kind shows of the whole document, see there.
    ///
    /// Each entry is applied once, and not before an entry that it depends on: whoever feeds the log sees to both.
    public mutating func apply(
        _ delta: DocumentDelta, to document: DocumentID, dot: Dot, timestamp: HybridTimestamp
    ) -> DocumentShown {
        precondition(delta.kind == document.kind, "a delta of a \(delta.kind) for a \(document.kind)")
        let delta = spoilt(delta, of: document, dot)
        let change = delta.change(of: document, dot: dot, timestamp: timestamp)
        let before = cells(of: document)[delta.key]
        if !delta.observed.isEmpty {
            record(document, delta.key, self.change(document, delta.key) { $0.remove(delta.observed, of: delta.key) })
        }
        for cell in change.put {
            record(document, cell.key, self.change(document, cell.key) { $0.put(cell) })
        }
        let after = cells(of: document)
        let shown = delta.kind.form.shown(delta, dot: dot, before: before, after: after[delta.key], in: after)
        if planted.has(.observedRemoveRegister), delta.operation == .clear, after[delta.key].latest?.dot == dot {
            _ = self.change(document, delta.key) { $0.remove(nil, of: delta.key) }
        }
        return shown
    }

    /// What planted faults make of a delta.
    private func spoilt(_ delta: DocumentDelta, of document: DocumentID, _ dot: Dot) -> DocumentDelta {
        var delta = delta
        if planted.has(.removeByElement), delta.operation == .remove {
            delta.observed = cells(of: document)[delta.key].dots
        }
        if planted.has(.countersAsIncrements), delta.operation == .increment {
            let known = CounterForm.totals(of: dot.replica, in: cells(of: document)) ?? CounterTotals()
            delta.totals.up = min(known.up &+ delta.totals.up, CounterTotals.limit)
            delta.totals.down = min(known.down &+ delta.totals.down, CounterTotals.limit)
        }
        return delta
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
            _ = change(undo.document, undo.key) { cells in
                cells.replace(undo.key, by: undo.before)
                return undo.before
            }
        }
    }

    /// What a change found under a key, and so what undoes it.
    public struct Undo: Sendable {
        let document: DocumentID
        let key: Text
        let before: CellGroup<CellValue>
    }

    private mutating func record(_ document: DocumentID, _ key: Text, _ before: CellGroup<CellValue>) {
        undoLog.record(Undo(document: document, key: key, before: before))
    }

    // MARK: Changing

    /// Changes what stands under one key where it lies, without a copy, and keeps the counts and the digest.
    @discardableResult
    private mutating func change(
        _ document: DocumentID, _ key: Text, _ change: (inout DocumentCells) -> CellGroup<CellValue>
    ) -> CellGroup<CellValue> {
        var counts: (before: Int, after: Int) = (0, 0)
        var hashes: (before: UInt64, after: UInt64) = (0, 0)
        func counted(_ cells: inout DocumentCells) -> CellGroup<CellValue> {
            counts.before = cells.keyCount
            hashes.before = DocumentsDigest.part(key, in: cells, of: document)
            defer {
                counts.after = cells.keyCount
                hashes.after = DocumentsDigest.part(key, in: cells, of: document)
            }
            return change(&cells)
        }
        let rule = document.kind.rule
        let before = counted(
            &rooms[document.room, default: [:]][document.inRoom, default: DocumentCells(rule: rule)])
        contents.change(from: hashes.before, to: hashes.after)
        if rule == .observed { elementCount += counts.after - counts.before }
        documentCount += (counts.after == 0 ? 0 : 1) - (counts.before == 0 ? 0 : 1)
        if counts.after == 0 {
            rooms[document.room]?[document.inRoom] = nil
            if rooms[document.room]?.isEmpty == true { rooms[document.room] = nil }
        }
        return before
    }
}

extension DocumentID {
    var inRoom: Documents.Name { Documents.Name(kind: kind, name: name) }
}

import ConvergeCRDT
import ConvergeWire

// How documents stood before what is not settled.
//
// While nobody knows whether a batch is stored, its writes are in the documents and must not be shown. What undoes them is
// in the undo log; of each key the oldest such note tells how it stood before all of them. So one pass over the log, as long
// as the batch, gives a view of the whole, and nothing is changed.
//
// Invariant: seen with this, the documents are what `rollBack(to: settled)` would make them.

/// What a change that is not settled found, for all that was changed since the last that is.
public struct DocumentsBefore: Sendable {
    fileprivate var groups: [DocumentID: [Text: CellGroup<CellValue>]] = [:]

    fileprivate mutating func note(_ undo: Documents.Undo) {
        if groups[undo.document]?[undo.key] == nil { groups[undo.document, default: [:]][undo.key] = undo.before }
    }
}

extension Documents {
    /// How things stood before all that is not settled; until that changes. O(what is not settled).
    public var beforeUnsettled: DocumentsBefore {
        var before = DocumentsBefore()
        for undo in undoLog.pending { before.note(undo) }
        return before
    }

    /// As `cells(of:)`, of then; of now where there is no `before`. So are the others. O(n) where something has changed.
    public func cells(of document: DocumentID, before: DocumentsBefore?) -> DocumentCells {
        var cells = cells(of: document)
        for (key, group) in before?.groups[document] ?? [:] { cells.replace(key, by: group) }
        return cells
    }

    public func value(of document: DocumentID, before: DocumentsBefore?) -> DocumentValue {
        document.kind.form.value(of: cells(of: document, before: before))
    }

    public func documents(in room: Text, before: DocumentsBefore?) -> [(name: Text, kind: DocumentKind)] {
        guard let before else { return documents(in: room) }
        let changed = before.groups.keys.filter { $0.room == room }
        var standing = Set(rooms[room]?.keys.map { $0 } ?? [])
        for document in changed {
            if cells(of: document, before: before).isEmpty {
                standing.remove(document.inRoom)
            } else {
                standing.insert(document.inRoom)
            }
        }
        return Self.sorted(Array(standing))
    }
}

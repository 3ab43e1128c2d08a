import ConvergeCRDT
import ConvergeWire

// How documents stood before what is not settled.
//
// While nobody knows whether a batch is stored, its writes are in the documents and must not be shown. What undoes them is
// in the undo log; of each element, register and part of a counter the oldest such note tells how it stood before all of
// them. So one pass over the log, as long as the batch, gives a view of the whole, and nothing is changed or copied.
//
// Invariant: seen with this, the documents are what `rollBack(to: settled)` would make them.

/// What a change that is not settled found, for all that was changed since the last that is.
public struct DocumentsBefore: Sendable {
    fileprivate var elements: [DocumentID: [Text: DotSet]] = [:]
    fileprivate var registers: [DocumentID: LWWRegister<Text>?] = [:]
    fileprivate var counters: [DocumentID: [ReplicaID: CounterTotals?]] = [:]

    fileprivate mutating func note(_ undo: Documents.Undo) {
        switch undo {
        case .element(let document, let element, let dots):
            if elements[document]?[element] == nil { elements[document, default: [:]][element] = dots }
        case .register(let document, let register):
            if registers[document] == nil { registers[document] = .some(register) }
        case .counter(let document, let replica, let totals):
            if counters[document]?[replica] == nil { counters[document, default: [:]][replica] = .some(totals) }
        }
    }
}

extension Documents {
    /// How things stood before all that is not settled; until that changes. O(what is not settled).
    public var beforeUnsettled: DocumentsBefore {
        var before = DocumentsBefore()
        for undo in undoLog.pending { before.note(undo) }
        return before
    }

    /// As `elements(of:)`, of then; of now where there is no `before`. So are the others.
    public func elements(of document: DocumentID, before: DocumentsBefore?) -> [Text] {
        guard let changed = before?.elements[document] else { return elements(of: document) }
        let unchanged = rooms[document.room]?.sets[document.name]?.keys.filter { changed[$0] == nil } ?? []
        return (unchanged + changed.filter { !$0.value.isEmpty }.keys).sorted()
    }

    public func value(of document: DocumentID, before: DocumentsBefore?) -> Text? {
        guard let register = before?.registers[document] else { return value(of: document) }
        return register?.value
    }

    public func count(of document: DocumentID, before: DocumentsBefore?) -> Int64? {
        guard let changed = before?.counters[document] else { return count(of: document) }
        var counter = rooms[document.room]?.counters[document.name] ?? DocumentCounter()
        for (replica, totals) in changed { counter[replica] = totals }
        return counter.isEmpty ? nil : counter.value
    }

    public func documents(in room: Text, before: DocumentsBefore?) -> [(name: Text, kind: DocumentKind)] {
        guard let before else { return documents(in: room) }
        let standing = documents(in: room).filter { name, kind in
            let document = DocumentID(room: room, kind: kind, name: name)
            return switch kind {
            case .orSet: before.elements[document] == nil
            case .register: before.registers[document] == nil
            case .counter: before.counters[document] == nil
            }
        }
        let sets = before.elements.keys.filter { $0.room == room && !elements(of: $0, before: before).isEmpty }
        let registers = before.registers.filter { $0.key.room == room && $0.value != nil }.keys
        let counters = before.counters.keys.filter { $0.room == room && count(of: $0, before: before) != nil }
        let changed = (sets + registers + counters).map { (name: $0.name, kind: $0.kind) }
        return (standing + changed).sorted {
            $0.name == $1.name ? $0.kind.rawValue < $1.kind.rawValue : $0.name < $1.name
        }
    }
}

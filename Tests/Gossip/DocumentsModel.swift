import ConvergeCRDT
import ConvergeGossip
import ConvergeWire

/// What the documents are held against: the writes themselves, in a list, each with all the writes its replica knew.
/// Whatever is asked is worked out anew from the list; nothing is merged, and no dots are kept with an element.
struct DocumentsModel {
    struct Write {
        enum Deed { case add(Text), remove(Text), set(Text?), count(CounterTotals) }
        var document: DocumentID
        var deed: Deed
        var dot: Dot
        var timestamp: HybridTimestamp
        /// By number. An element's write undoes the adds of the element that are among them.
        var past: Set<Int>

        var added: Text? { if case .add(let element) = deed { element } else { nil } }
        var element: Text? {
            switch deed {
            case .add(let element), .remove(let element): element
            case .set, .count: nil
            }
        }
    }

    var writes: [Write] = []

    /// The dots under which `element` stands where the writes of `known` are known.
    func dots(of element: Text, in document: DocumentID, _ known: Set<Int>) -> [Dot] {
        let related = known.filter { writes[$0].document == document && writes[$0].element == element }
        return related.filter { add in
            writes[add].added != nil && !related.contains { writes[$0].past.contains(add) }
        }
        .map { writes[$0].dot }.sorted()
    }

    func elements(of document: DocumentID, _ known: Set<Int>) -> [Text] {
        let added = Set(known.filter { writes[$0].document == document }.compactMap { writes[$0].added })
        return added.filter { !dots(of: $0, in: document, known).isEmpty }.sorted()
    }

    func value(of document: DocumentID, _ known: Set<Int>) -> Text? {
        let last = known.filter { writes[$0].document == document }.max { one, other in
            let (one, other) = (writes[one], writes[other])
            return (one.timestamp, one.dot.replica) < (other.timestamp, other.dot.replica)
        }
        guard let last, case .set(let value) = writes[last].deed else { return nil }
        return value
    }

    /// Of each replica the highest totals that it ever told.
    func count(of document: DocumentID, _ known: Set<Int>) -> Int64? {
        var highest: [ReplicaID: CounterTotals] = [:]
        for number in known where writes[number].document == document {
            guard case .count(let totals) = writes[number].deed else { continue }
            let before = highest[writes[number].dot.replica] ?? CounterTotals()
            highest[writes[number].dot.replica] = CounterTotals(
                up: max(before.up, totals.up), down: max(before.down, totals.down))
        }
        return highest.isEmpty ? nil : highest.values.reduce(0) { $0 + Int64($1.up) - Int64($1.down) }
    }

    /// The documents of a room as they stand, sorted.
    func documents(in room: Text, _ known: Set<Int>) -> [String] {
        Set(known.map { writes[$0].document }.filter { $0.room == room })
            .filter { $0.kind != .orSet || !elements(of: $0, known).isEmpty }
            .map { "\($0.name) \($0.kind)" }.sorted()
    }

    /// The first way in which `documents` differ from what the writes of `known` make.
    func difference(
        from documents: Documents, _ known: Set<Int>, sets: [DocumentID], registers: [DocumentID],
        counters: [DocumentID], elements: [Text]
    ) -> String? {
        var elementCount = 0
        var standing = Set(known.map { writes[$0].document }.filter { $0.kind != .orSet }).count
        for set in sets {
            let expected = self.elements(of: set, known)
            elementCount += expected.count
            standing += expected.isEmpty ? 0 : 1
            if documents.elements(of: set) != expected {
                return "\(set): \(documents.elements(of: set)), not \(expected)"
            }
            for element in elements {
                let observed = dots(of: element, in: set, known)
                let delta = documents.deltaForRemove(element, from: set)
                if delta != .remove(element: element, observed: observed) { return "\(delta), not \(observed)" }
            }
        }
        for register in registers where documents.text(of: register) != value(of: register, known) {
            return "\(register): \(String(describing: documents.text(of: register)))"
        }
        for counter in counters where documents.count(of: counter) != count(of: counter, known) {
            return "\(counter): \(String(describing: documents.count(of: counter)))"
        }
        for room in ["dev", "ops"] as [Text] {
            let listed = documents.documents(in: room).map { "\($0.name) \($0.kind)" }
            if listed.sorted() != self.documents(in: room, known) { return "\(room) lists \(listed)" }
        }
        if documents.elementCount != elementCount { return "\(documents.elementCount) elements, not \(elementCount)" }
        if documents.documentCount != standing { return "\(documents.documentCount) documents, not \(standing)" }
        return nil
    }
}

import ConvergeCRDT
import ConvergeWire

/// What documents must hold, worked out from the entries and what each writer had applied: nothing is merged, no dots are
/// kept with an element, and the dots that entries name are not believed.
struct DocumentsReference {
    fileprivate struct Write {
        let dot: Dot
        let timestamp: HybridTimestamp
        let past: VersionVector
        let delta: DocumentDelta
    }

    private var documents: [DocumentID: [Write]] = [:]

    /// All that `vector` covers of what was ever written.
    init(_ ledger: Ledger, within vector: VersionVector) {
        for replica in ledger.replicas {
            for record in ledger.records(of: replica).prefix(Int(vector[replica])) where record.entry.kind == .document
            {
                let entry = record.entry
                guard case .document(let payload) = entry.meaning else { continue }
                documents[payload.document(in: entry.room), default: []].append(
                    Write(dot: entry.dot, timestamp: entry.timestamp, past: record.past, delta: payload.delta))
            }
        }
    }

    /// An element is in a set if one of its adds was seen by no later write of the element.
    func elements(of document: DocumentID) -> [Text] {
        let writes = documents[document] ?? []
        var standing: Set<Text> = []
        for add in writes where add.delta.operation == .add {
            let isUndone = writes.contains { $0.past.covers(add.dot) && $0.delta.key == add.delta.key }
            if !isUndone { standing.insert(add.delta.key) }
        }
        return standing.sorted()
    }

    /// What the writes between two vectors have put into a set and nothing that was ever written takes out.
    func lasting(in document: DocumentID, of vector: VersionVector, beyond given: VersionVector) -> [Text] {
        let writes = documents[document] ?? []
        return writes.filter { vector.covers($0.dot) && !given.covers($0.dot) }.compactMap { add in
            guard add.delta.operation == .add else { return nil }
            let isUndone = writes.contains { $0.past.covers(add.dot) && $0.delta.key == add.delta.key }
            return isUndone ? nil : add.delta.key
        }
    }

    /// What a register may hold where the writes between two vectors are known: the last of those, and all that are later.
    /// None where there are none.
    func values(of document: DocumentID, since vector: VersionVector, beyond given: VersionVector) -> [String] {
        let writes = documents[document] ?? []
        func order(_ write: Write) -> (HybridTimestamp, ReplicaID) { (write.timestamp, write.dot.replica) }
        let named = writes.filter { vector.covers($0.dot) && !given.covers($0.dot) }
        guard let last = named.max(by: { order($0) < order($1) }) else { return [] }
        return writes.filter { order($0) >= order(last) }.map { $0.delta.value?.string ?? "" }
    }

    /// A counter is the sum of what its entries say that they have added.
    func count(of document: DocumentID) -> Int {
        (documents[document] ?? []).reduce(0) { $0 + Int($1.delta.amount) }
    }

    /// A field shows what was written last of what was seen by no later write of the field.
    func fields(of document: DocumentID) -> [String: String] {
        let writes = documents[document] ?? []
        var standing: [Text: Write] = [:]
        for write in writes where write.delta.operation == .set {
            let isReplaced = writes.contains { $0.past.covers(write.dot) && $0.delta.key == write.delta.key }
            if isReplaced { continue }
            if let held = standing[write.delta.key],
                (write.timestamp, write.dot.replica) < (held.timestamp, held.dot.replica)
            {
                continue
            }
            standing[write.delta.key] = write
        }
        var fields: [String: String] = [:]
        for (field, write) in standing { fields[field.string] = write.delta.value?.string }
        return fields
    }

    /// A register holds what was written last, by (timestamp, replica).
    func value(of document: DocumentID) -> Text? {
        (documents[document] ?? []).max { ($0.timestamp, $0.dot.replica) < ($1.timestamp, $1.dot.replica) }?.delta.value
    }
}

import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Writes to documents become entries like messages. What is asked about documents: NodeCore+DocumentReads.swift.
extension NodeCore {
    mutating func handleDocument(
        _ command: ClientCommand, ref: Text?, from id: SessionID, _ session: Session, at now: UInt64
    ) {
        let room = rooms.name(of: session.room)
        func document(_ kind: DocumentKind, _ name: Text) -> DocumentID {
            DocumentID(room: room, kind: kind, name: name)
        }
        switch command {
        case .setAdd(let write):
            let document = document(.orSet, write.doc)
            self.write(to: document, after: write.after, copies: write.copies, ref: ref, from: id, session, at: now) {
                (documents, _) throws(DocumentRefusal) in try documents.deltaForAdd(write.value ?? "", to: document)
            }
        case .setRemove(let write):
            let document = document(.orSet, write.doc)
            self.write(to: document, after: write.after, copies: write.copies, ref: ref, from: id, session, at: now) {
                (documents, _) throws(DocumentRefusal) in documents.deltaForRemove(write.value ?? "", from: document)
            }
        case .registerSet(let write):
            let document = document(.register, write.doc)
            self.write(to: document, after: write.after, copies: write.copies, ref: ref, from: id, session, at: now) {
                (documents, _) throws(DocumentRefusal) in try documents.deltaForSet(write.value, in: document)
            }
        case .counterAdd(let write):
            let document = document(.counter, write.doc)
            self.write(to: document, after: write.after, copies: write.copies, ref: ref, from: id, session, at: now) {
                (documents, replica) throws(DocumentRefusal) in
                try documents.deltaForCount(write.amount, in: document, by: replica)
            }
        case .setValues(let doc): read(.elements(document(.orSet, doc)), ref: ref, for: id, at: now)
        case .registerGet(let doc): read(.value(document(.register, doc)), ref: ref, for: id, at: now)
        case .counterGet(let doc): read(.count(document(.counter, doc)), ref: ref, for: id, at: now)
        case .documents: read(.list(room: room), ref: ref, for: id, at: now)
        default: break
        }
    }

    private mutating func write(
        to document: DocumentID, after: Position?, copies: Int?, ref: Text?, from id: SessionID, _ session: Session,
        at now: UInt64, _ decide: (borrowing Documents, ReplicaID) throws(DocumentRefusal) -> DocumentDelta
    ) {
        guard admits(id, ref: ref, at: now) else { return }
        let delta: DocumentDelta
        do throws(DocumentRefusal) {
            delta = try decide(documents, log!.replica)
        } catch {
            refuse(Refusal(error), id, ref: ref, at: now)
            return
        }
        let payload = DocumentPayload(
            name: document.name, user: session.user, displayName: session.displayName, delta: delta)
        let entry = place(
            .document, session.room, document.room, payload.encoded, after: after, at: now)
        let change = documents.apply(delta, to: document, dot: entry.dot, timestamp: entry.timestamp)
        open.documents = documents.mark
        open.commands += 1
        open.waiting.append((id, ref))
        open.batch.effects.append(contentsOf: effects(of: delta, on: document, entry))

        switch change {
        case .added, .removed, .registerSet(_, won: true), .counted:
            var standing: Text?
            var value: Int64?
            if case .registerSet(let written, _) = change { standing = written }
            if case .counted(let counted) = change { value = counted }
            open.frames.append(to: .room(session.room), dot: entry.dot) {
                encoder.document(
                    payload, standing: standing, value: value, room: document.room, position: entry.position, to: &$0)
            }
        case .survived, .registerSet(_, won: false):
            open.batch.effects.append(.hide(entry.dot))
        }
        acknowledge(
            entry.position, after: after, room: document.room, MessageID(entry.dot), copies: copies, ref: ref, id)
        counters.documentWrites &+= 1
    }

    func effects(of delta: DocumentDelta, on document: DocumentID, _ entry: Entry) -> [StoreEffect] {
        let change: StoreEffect =
            switch delta {
            case .add(let element, let replacing):
                .insert(
                    document, element: element, dot: entry.dot, timestamp: entry.timestamp, replacing: replacing)
            case .remove(let element, let observed): .delete(document, element: element, dots: observed)
            case .set(let value): .write(document, value: value, dot: entry.dot, timestamp: entry.timestamp)
            case .count(_, let totals): .count(document, totals, dot: entry.dot, timestamp: entry.timestamp)
            }
        return [change, .touch(document, entry.dot)]
    }
}

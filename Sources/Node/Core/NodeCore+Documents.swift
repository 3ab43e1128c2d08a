import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Documents: writes become entries like messages, reads are answered in one order with the live frames.
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
        case .setValues(let doc):
            let items = documents.elements(of: document(.orSet, doc))
            replyInOrder(to: id, ref: ref, at: now) { encoder, stamp, frame in
                encoder.setValues(stamp, room: room, doc: doc, items: items, ref: ref, to: &frame)
            }
        case .registerGet(let doc):
            let value = documents.value(of: document(.register, doc))
            replyInOrder(to: id, ref: ref, at: now) { encoder, stamp, frame in
                encoder.registerValue(stamp, room: room, doc: doc, value: value, ref: ref, to: &frame)
            }
        case .counterGet(let doc):
            let value = documents.count(of: document(.counter, doc)) ?? 0
            replyInOrder(to: id, ref: ref, at: now) { encoder, stamp, frame in
                encoder.counterValue(stamp, room: room, doc: doc, value: value, ref: ref, to: &frame)
            }
        case .documents:
            let all = documents.documents(in: room)
            replyInOrder(to: id, ref: ref, at: now) { encoder, stamp, frame in
                encoder.documents(stamp, room: room, documents: all, ref: ref, to: &frame)
            }
        default: break
        }
    }

    /// Puts a reply behind everything that the state it tells of is made of: it must not show what is not stored.
    private mutating func replyInOrder(
        to session: SessionID, ref: Text?, at now: UInt64,
        _ encode: (inout ServerFrameEncoder, FrameStamp, inout ByteBuffer) -> Void
    ) {
        guard open.frames.byteCount + inFlight.frames.byteCount + ready.byteCount < Self.pendingBytes else {
            refuse(.busy, session, ref: ref, at: now)
            return
        }
        let stamp = stamp(at: now)
        if !open.isEmpty {
            open.waiting.append((session, ref))
        } else if committing {
            inFlight.waiting.append((session, ref))
        }
        if inDoubt {
            // Whether it may be shown is known when the batch in doubt is settled.
            inFlight.frames.append(to: .session(session)) { encode(&encoder, stamp, &$0) }
        } else {
            inOrder(for: session) { frames, encoder in
                frames.append(to: .session(session)) { encode(&encoder, stamp, &$0) }
            }
        }
    }

    /// How many bytes of frames may wait for a commit before documents are not read any more: one large set asked for again
    /// and again must not fill the memory.
    private static var pendingBytes: Int { 32 << 20 }

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
            entry.position, room: document.room, MessageID(entry.dot), copies: copies, ref: ref, id)
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

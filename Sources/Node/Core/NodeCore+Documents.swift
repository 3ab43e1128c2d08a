import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Writes to documents become entries like messages. What is asked about documents: NodeCore+DocumentReads.swift.
extension NodeCore {
    mutating func write(
        _ command: DocumentWriteCommand, ref: Text?, from id: SessionID, _ session: Session, at now: UInt64
    ) {
        guard canTakeWrite(from: id, ref: ref, at: now) else { return }
        guard isKnownToAll(command.kind) else {
            refuse(.olderMember, id, ref: ref, at: now)
            return
        }
        let name = roomName(command.room, session)
        let document = DocumentID(room: name, kind: command.kind, name: command.doc)
        let delta: DocumentDelta
        do throws(DocumentRefusal) {
            delta = try documents.delta(of: command.write, to: document, by: log!.replica)
        } catch {
            refuse(Refusal(error), id, ref: ref, at: now)
            return
        }
        let payload = DocumentPayload(
            name: document.name, user: session.user, displayName: session.displayName, delta: delta)
        // In a room that its writer is not in, nobody moves: who is there is shown it.
        let room = rooms.open(name)
        let entry = place(
            .document, room, document.room, payload.encoded, after: command.after, at: now)
        pipeline.open.commands += 1
        pipeline.open.waiting.append((id, ref))
        let shown = apply(payload, of: entry)
        if shown != .hidden {
            pipeline.open.frames.append(toRoom: room, dot: entry.dot, shown, by: &encoders) { encoder, frame in
                encoder.document(payload, shown, room: document.room, position: entry.position, to: &frame)
            }
        }
        acknowledge(
            entry.position, after: command.after, room: document.room, MessageID(entry.dot), copies: command.copies,
            ref: ref, id)
        counters.documentWrites &+= 1
    }

    /// What an entry in the open batch, one's own or another node's, does to its document.
    mutating func apply(_ payload: DocumentPayload, of entry: Entry) -> DocumentShown {
        let document = payload.document(in: entry.room)
        let shown = documents.apply(payload.delta, to: document, dot: entry.dot, timestamp: entry.timestamp)
        pipeline.open.documents = documents.mark
        pipeline.open.batch.effects.append(
            .cells(payload.delta.change(of: document, dot: entry.dot, timestamp: entry.timestamp)))
        if shown == .hidden { pipeline.open.batch.effects.append(.hide(entry.dot)) }
        return shown
    }
}

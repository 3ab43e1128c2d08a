import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Entries that other nodes wrote: they go the way of one's own from here on, through the batch, the disk and the loops,
/// but through none of a client's checks again.
extension NodeCore {
    /// Puts an entry, which is the next of its log and depends on nothing that isn't here, into the open batch.
    mutating func apply(_ entry: Entry, at now: UInt64) {
        if !options.planted.has(.clockIgnoresPeers) { clock.observe(entry.timestamp, wall: now, limit: .max) }
        if options.planted.has(.unknownKindDropped), !entry.kind.isKnown { return }
        open.batch.entries.append(entry)
        counters.entriesReceived &+= 1
        guard entry.namespace == 0 else { return }
        if entry.flags.contains(.redacted) {
            // What it was is gone, but a twin of it must still find it.
            if let id = entry.redactedMessageID { open.batch.effects.append(.key(id, position: entry.position)) }
            return
        }
        entry.payload.withUnsafeBytes { bytes in
            // What a newer build has written is kept as it is and not interpreted.
            switch entry.kind {
            case .message:
                if let payload = try? MessagePayload(decoding: bytes) { take(payload, of: entry) }
            case .system:
                if let payload = try? SystemPayload(decoding: bytes) { take(payload, of: entry, at: now) }
            case .document:
                if let payload = try? DocumentPayload(decoding: bytes) { take(payload, of: entry) }
            case .redaction:
                if let payload = try? RedactionPayload(decoding: bytes), !options.planted.has(.redactionForgotten) {
                    open.batch.effects.append(.redact(payload.target))
                }
            default:
                break
            }
        }
    }

    private mutating func take(_ payload: MessagePayload, of entry: Entry) {
        if let id = payload.id { open.batch.effects.append(.key(id, position: entry.position)) }
        show(entry, standing: nil)
    }

    private mutating func take(_ payload: SystemPayload, of entry: Entry, at now: UInt64) {
        if payload.turn == 0, let id = payload.id {
            open.batch.effects.append(.key(id, position: entry.position))
        }
        let last = attendance.lastEvent(of: RoomUser(room: entry.room, user: payload.user))
        let twin = last?.turn == payload.turn ? last?.position : nil
        if note(payload, of: entry) {
            show(entry, standing: nil)
        } else if twin.map({ entry.position < $0 }) ?? true {
            // History will have it. Behind its twin it is hidden.
            passOver(entry, twin: twin?.dot)
        }
        if options.systemEvents == .stored {
            // It may say what isn't so here: then a word is due.
            attendance.touch(RoomUser(room: entry.room, user: payload.user), at: monotonic, hosted: false)
        }
    }

    private mutating func take(_ payload: DocumentPayload, of entry: Entry) {
        let document = DocumentID(room: entry.room, kind: payload.delta.kind, name: payload.name)
        let change = documents.apply(payload.delta, to: document, dot: entry.dot, timestamp: entry.timestamp)
        open.documents = documents.mark
        open.batch.effects.append(contentsOf: effects(of: payload.delta, on: document, entry))
        switch change {
        case .added, .removed: show(entry, standing: nil)
        case .registerSet(let value, won: true): show(entry, standing: value)
        case .counted(let value): show(entry, standing: nil, value: value)
        case .survived, .registerSet(_, won: false): open.batch.effects.append(.hide(entry.dot))
        }
    }

    /// Shows an entry to those who are in its room when it is stored.
    private mutating func show(_ entry: Entry, standing: Text?, value: Int64? = nil) {
        let room = rooms.open(entry.room)
        rooms.retain(room)
        open.rooms.append(room)
        if options.planted.has(.shownBeforeStored) {
            readyLoops.formUnion(rooms.loops(in: room))
            ready.append(to: .room(room), dot: entry.dot) {
                try? encoder.appendFrame(of: entry, standing: standing, value: value, to: &$0)
            }
            return
        }
        open.frames.append(to: .room(room), dot: entry.dot) {
            try? encoder.appendFrame(of: entry, standing: standing, value: value, to: &$0)
        }
    }

    /// The room has been shown an event with this one's id.
    private mutating func passOver(_ entry: Entry, twin: Dot?) {
        let room = rooms.open(entry.room)
        rooms.retain(room)
        open.rooms.append(room)
        open.frames.append(to: .unshown(room: room, twin: twin), dot: entry.dot)
    }

    /// Erases the payload of an entry, here and everywhere.
    mutating func redact(_ target: Dot, in name: Text, at now: UInt64) {
        guard store == .ready, clockIsTolerable, replicator.applied.covers(target) else { return }
        let room = rooms.open(name)
        _ = place(.redaction, room, name, RedactionPayload(target: target).encoded, after: nil, at: now)
        open.batch.effects.append(.redact(target))
    }
}

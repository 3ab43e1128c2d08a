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
        pipeline.open.batch.entries.append(entry)
        counters.entriesReceived &+= 1
        switch entry.meaning {
        case .message(let id):
            if let id { pipeline.open.batch.effects.append(.key(id, position: entry.position)) }
            show(entry)
        case .system(let payload): take(payload, of: entry, at: now)
        case .document(let payload):
            let shown = apply(payload, of: entry)
            if shown != .hidden {
                show(entry, shown) { $0.document(payload, shown, room: entry.room, position: entry.position, to: &$1) }
            }
        case .redaction(let redaction):
            if !options.planted.has(.redactionForgotten) {
                pipeline.open.batch.effects.append(.redact(redaction.target))
            }
        case .erased(let id):
            // What it was is gone, but a twin of it must still find it.
            if let id { pipeline.open.batch.effects.append(.key(id, position: entry.position)) }
        case .none:
            // What a newer build has written is kept as it is and not interpreted.
            break
        }
    }

    private mutating func take(_ payload: SystemPayload, of entry: Entry, at now: UInt64) {
        if payload.number == 0, let id = payload.id {
            pipeline.open.batch.effects.append(.key(id, position: entry.position))
        }
        let last = attendance.lastEvent(of: RoomUser(room: entry.room, user: payload.user))
        let twin = last?.number == payload.number ? last?.position : nil
        if note(payload, of: entry) {
            show(entry)
        } else if twin.map({ entry.position < $0 }) ?? true {
            // History will have it. Behind its twin it is hidden.
            passOver(entry, twin: twin?.dot)
        }
        if options.systemEvents == .stored {
            // It may say what isn't so here: then a word is due.
            attendance.touch(RoomUser(room: entry.room, user: payload.user), at: monotonic, hosted: false)
        }
    }

    /// Shows an entry to those who are in its room when it is stored.
    private mutating func show(_ entry: Entry) { show(entry) { try? $0.appendFrame(of: entry, to: &$1) } }

    private mutating func show(
        _ entry: Entry, _ shown: DocumentShown = .asWritten,
        _ encode: (inout ServerFrameEncoder, inout ByteBuffer) -> Void
    ) {
        let room = rooms.open(entry.room)
        rooms.retain(room)
        pipeline.open.rooms.append(room)
        if options.planted.has(.shownBeforeStored) {
            readyLoops.formUnion(rooms.loops(in: room))
            ready.append(toRoom: room, dot: entry.dot, shown, by: &encoders, encode)
            return
        }
        pipeline.open.frames.append(toRoom: room, dot: entry.dot, shown, by: &encoders, encode)
    }

    /// The room has been shown an event with this one's id.
    private mutating func passOver(_ entry: Entry, twin: Dot?) {
        let room = rooms.open(entry.room)
        rooms.retain(room)
        pipeline.open.rooms.append(room)
        pipeline.open.frames.append(to: .unshown(room: room, twin: twin), dot: entry.dot)
    }

    /// Erases the payload of an entry, here and everywhere.
    mutating func redact(_ target: Dot, in name: Text, at now: UInt64) {
        guard store == .ready, clockIsTolerable, replicator.applied.covers(target) else { return }
        let room = rooms.open(name)
        _ = place(.redaction, room, name, RedactionPayload(target: target).encoded, after: nil, at: now)
        pipeline.open.batch.effects.append(.redact(target))
    }
}

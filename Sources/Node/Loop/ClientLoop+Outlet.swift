import ConvergeCRDT
import ConvergeTransport
import ConvergeWire

/// What delivery needs of a loop. A connection's number is its slot.
///
/// Whatever is done here, no connection is closed before delivery has returned: `endings` has those, and
/// `carryOutEndings` closes them.
extension ClientLoop: Outlet {
    enum Ending {
        case delivery(DeliveryEnd)
        /// It asks for more than it reads.
        case tooSlow
        /// Its socket is gone.
        case lost
    }

    /// Below this many waiting bytes a client gets its next page.
    private static var lowWater: Int { 64 << 10 }

    func connection(of session: SessionID) -> UInt32? { slot(of: session) }

    mutating func letIn(_ slot: UInt32) -> Bool {
        if connections[slot].pointee.phase == .entering { connections[slot].pointee.phase = .chat }
        return connections[slot].pointee.phase == .chat
    }

    mutating func takeCursor(of slot: UInt32) -> ClientCursor? { exchange(&connections[slot].pointee.resume, for: nil) }

    func takes(_ bytes: Int, _ slot: UInt32) -> Bool { takes(bytes, frames: 1, slot) }

    private func takes(_ bytes: Int, frames: Int, _ slot: UInt32) -> Bool {
        let connection = connections[slot]
        return connection.pointee.backlog == 0
            || (connection.pointee.output.frames + frames <= options.sendFrames
                && connection.pointee.backlog + bytes <= options.sendBytes)
    }

    func takesPage(_ slot: UInt32) -> Bool {
        connections[slot].pointee.phase == .chat && connections[slot].pointee.backlog < Self.lowWater
    }

    // MARK: Frames

    /// The one hot loop's body: for every member of every room that has frames in a turn.
    mutating func take(_ run: borrowing TurnFrames, from offset: Int, _ moment: RunMoment, _ slot: UInt32) -> Int {
        let connection = connections[slot]
        // Who is in many rooms gets what a turn has for it in one piece.
        let isLast = moment == .endOfAll || moment == .end && connection.pointee.speaks == .first
        if connection.pointee.backlog == 0, isLast { return send(run, from: offset, slot) }
        let count = run.count(from: offset)
        guard takes(run.bytes.count - offset, frames: count, slot) else { return offset }
        connection.pointee.output.append(run, from: offset, to: run.bytes.count)
        counts.framesOut += count
        markDirty(slot)
        return run.bytes.count
    }

    mutating func append(_ frame: UnsafeRawBufferPointer, _ kind: FrameKind, to slot: UInt32) {
        let connection = connections[slot]
        guard !connection.pointee.closeSent, connection.pointee.isOpen else { return }
        if case .reply = kind, connection.pointee.backlog > options.replyBytes {
            // Once: a batch may have very many answers for it.
            if !endings.contains(where: { $0.slot == slot }) { endings.append((slot, .tooSlow)) }
            return
        }
        connection.pointee.output.append(frame)
        counts.framesOut += 1
        markDirty(slot)
    }

    mutating func tell(_ notice: DeliveryNotice, of room: Text, to slot: UInt32) {
        tell(slot) { encoder, stamp, text in
            switch notice {
            case .resumed(let recovered, let cursor, let documents, let ref):
                encoder.resumed(
                    stamp, room: room, recovered: recovered, cursor: cursor, docs: documents, ref: ref, to: &text)
            case .standing(let cursor, .joined(let ref)):
                encoder.joined(stamp, room: room, ref: ref, cursor: cursor, to: &text)
            case .standing(let cursor, .subscribed(let count, let ref)):
                encoder.subscribed(stamp, room: room, count: count, cursor: cursor, ref: ref, to: &text)
            case .historyIsGone:
                encoder.historyIsGone(stamp, room: room, to: &text)
            }
        }
        if case .historyIsGone(let stay) = notice {
            outgoing.append(.session(id(of: slot), .subscriptionEnded(room: room, stay: stay)))
        }
    }

    mutating func tell(cursors: [(room: Text, cursor: VersionVector)], to slot: UInt32) {
        tell(slot) { encoder, stamp, text in encoder.cursors(stamp, cursors, to: &text) }
    }

    private mutating func tell(
        _ slot: UInt32, _ encode: (inout ServerFrameEncoder, FrameStamp, inout ByteBuffer) -> Void
    ) {
        let stamp = FrameStamp(id: frameIDs.next(), milliseconds: SystemClock.wallMilliseconds())
        var text = ByteBuffer()
        encode(&encoders[connections[slot].pointee.speaks], stamp, &text)
        var frame = ByteBuffer()
        WebSocketFrame.append(.text, text.bytes, to: &frame)
        append(frame.bytes, .reply, to: slot)
    }

    mutating func mark(_ slot: UInt32) { markDirty(slot) }

    // MARK: Pages

    mutating func ask(_ question: Feed.Question, of room: Text, for slot: UInt32) {
        let limit = question.purpose == .resume ? max(1, options.historyLimit) : StorageReaders.feedLength
        readers.submit(.feed(id(of: slot), question, room: room, limit: limit))
    }

    mutating func takePage(_ page: Feed.Page, _ ask: UInt64, _ frames: FrameBatch, for session: SessionID) {
        guard let slot = slot(of: session) else { return }
        let delivery = delivery
        delivery.pointee.take(page: page, ask, frames, for: slot, to: &self)
        carryOutEndings()
    }

    /// The store could not be read: asks again a little later.
    mutating func retryPage(_ ask: UInt64, for session: SessionID) {
        guard let slot = slot(of: session), delivery.pointee.pageFailed(ask, for: slot) else { return }
        connections[slot].pointee.retryAt = now + 250_000_000
        schedule(slot)
    }

    // MARK: Ends

    mutating func end(_ slot: UInt32, _ reason: DeliveryEnd) { endings.append((slot, .delivery(reason))) }

    /// Closes the connections that delivery has found to be over.
    mutating func carryOutEndings() {
        guard !endings.isEmpty else { return }
        for (slot, why) in exchange(&endings, for: []) where connections[slot].pointee.isOpen {
            // Who has been closed meanwhile keeps the close frame that waits for it.
            switch why {
            case .lost: lose(slot)
            case _ where connections[slot].pointee.closeSent: break
            case .delivery(.left): close(slot, .normal, "")
            case .delivery(.historyIsGone): closeAsSlow(slot, "history is gone")
            case .tooSlow: closeAsSlow(slot, "too slow")
            }
        }
    }
}

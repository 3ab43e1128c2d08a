import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// The life of a batch, and of the store behind it.
///
/// One batch is on its way at a time. If it fails, it and everything placed after it fails: the log's head and the
/// documents go back to what is stored, and everybody who waits is told. If its outcome is unknown it is neither until the
/// store, opened anew, says where the log ends.
extension NodeCore {
    mutating func handle(_ event: StoreEvent, at now: UInt64, into effects: inout [CoreEffect]) {
        switch event {
        case .opened(let recovered):
            opened(recovered, at: now, into: &effects)
        case .committed:
            committed(at: now, into: &effects)
        case .pruned(let count):
            counters.pruned &+= count
            retention.finished(dropped: count)
        case .failed(let error):
            retention.failed()
            if case .unknownOutcome = error {
                inDoubt = true
                // Whether it is stored may be open for long; where sessions are is not, and stays in order.
                ready.takeMoves(of: &inFlight.frames)
            } else {
                fail(takeInFlight(), at: now)
            }
            fail(takeOpen(), at: now)
            rollBack()
            counters.batchesFailed &+= 1
            reopen(after: error, into: &effects)
        case .openFailed(let error):
            reopen(after: error, into: &effects)
        }
    }

    mutating func takeOpen() -> OpenBatch {
        exchange(&open, for: OpenBatch())
    }

    private mutating func takeInFlight() -> OpenBatch {
        committing = false
        return exchange(&inFlight, for: OpenBatch())
    }

    // MARK: Committed

    private mutating func committed(at now: UInt64, into effects: inout [CoreEffect]) {
        guard committing else { return }
        let batch = takeInFlight()
        deliverReady(into: &effects)
        let before = position
        if let last = batch.batch.entries.last {
            log!.commit(last)
            position.advance(to: last.dot)
        }
        if let mark = batch.documents { documents.settle(through: mark) }
        // Room frames go to the loops that have members now: who has come in since then is in the room from there on.
        var loops = batch.frames.loops
        batch.frames.forEachRoom { room in loops.formUnion(rooms.loops(in: room)) }
        for room in batch.rooms { rooms.release(room) }
        let stored = batch.batch
        let keys = batch.keys
        let frames = batch.takeFrames()
        if loops != LoopSet() { effects.append(.deliver(frames.finish(position: before), loops)) }
        if !keys.isEmpty { answerRepeats(of: stored, at: now) }
    }

    private mutating func answerRepeats(of batch: Batch, at now: UInt64) {
        for effect in batch.effects {
            guard case .key(let id, let position) = effect else { continue }
            let repeats = keyed.settle(id)
            guard !repeats.isEmpty, let entry = batch.entries.first(where: { $0.dot == position.dot }) else { continue }
            for again in repeats {
                counters.duplicates &+= 1
                if let ref = again.ref { repeated(id, position, room: entry.room, again.session, ref: ref) }
            }
        }
    }

    // MARK: Failed

    private mutating func fail(_ batch: consuming OpenBatch, at now: UInt64) {
        var batch = batch
        ready.takeMoves(of: &batch.frames)
        for (session, ref) in batch.waiting { refuse(.storageUnavailable, session, ref: ref, at: now) }
        for id in batch.keys {
            for again in keyed.settle(id) { refuse(.storageUnavailable, again.session, ref: again.ref, at: now) }
        }
        for room in batch.rooms { rooms.release(room) }
    }

    /// Takes back everything placed after what is stored or, while that is in doubt, after what may be.
    private mutating func rollBack() {
        guard log != nil else { return }
        documents.rollBack(to: inFlight.documents ?? documents.settled)
        if !committing { log!.rollBack() }
    }

    private static let waits: [Duration] = [
        .milliseconds(100), .milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2),
    ]

    private mutating func reopen(after error: StoreError, into effects: inout [CoreEffect]) {
        var failures = 0
        if case .unavailable(let before) = store { failures = before + 1 }
        store = .unavailable(failures: failures)
        let wait = Self.waits[min(failures, Self.waits.count - 1)]
        effects.append(.report(.storeUnavailable(error, retryIn: wait)))
        var renew = false
        if case .syncFailed = error { renew = true }
        effects.append(.openStore(after: wait, held: held, renew: renew))
    }

    private var held: WriterStart.Held? {
        guard let log else { return nil }
        return WriterStart.Held(replica: log.replica, committed: log.committedSeq)
    }

    // MARK: Opened

    private mutating func opened(_ recovered: Recovered, at now: UInt64, into effects: inout [CoreEffect]) {
        settleDoubt(recovered, at: now, into: &effects)
        let sameLog = isAt(Dot(replica: recovered.replica, seq: recovered.head))
        if !sameLog {
            log = LogHead(replica: recovered.replica, seq: recovered.head, hash: recovered.headHash)
            documents = Documents(limits: options.documents)
            for row in recovered.documents {
                documents.load(row.document, value: row.value, dot: row.dot, timestamp: row.timestamp)
            }
        }
        position = recovered.vector
        replicas = [recovered.replica]
        clock = HybridClock(last: max(clock.last, recovered.clock))
        store = .ready
        effects.append(
            .report(
                .storeOpened(
                    replica: recovered.replica, head: recovered.head, boot: recovered.boot, adopted: recovered.adopted))
        )
        if let reason = recovered.renewal { effects.append(.report(.identityRenewed(reason))) }
        correctAttendance(recovered.attendance, at: now)
    }

    /// Whether this is the committed end of the log as we know it.
    private func isAt(_ end: Dot) -> Bool {
        guard let log else { return false }
        return log.replica == end.replica && log.committedSeq == end.seq
    }

    /// Decides what became of a batch whose commit had no answer: the log has it whole, or not at all.
    private mutating func settleDoubt(_ recovered: Recovered, at now: UInt64, into effects: inout [CoreEffect]) {
        guard inDoubt else { return }
        inDoubt = false
        let stored =
            inFlight.batch.entries.last.map { recovered.vector.covers($0.dot) } ?? false
        if stored {
            committed(at: now, into: &effects)
        } else {
            fail(takeInFlight(), at: now)
        }
        rollBack()
    }

    /// Makes the stored joined and left agree with who is there: after a crash, and after a time without a store.
    private mutating func correctAttendance(_ attendance: [AttendanceRecord], at now: UInt64) {
        guard options.systemEvents == .stored else { return }
        var stored = Set<AttendanceKey>()
        for there in attendance where there.isJoined {
            stored.insert(AttendanceKey(room: there.room, user: there.user))
            if !rooms.contains(user: there.user, in: there.room) {
                let room = rooms.open(there.room)
                rooms.retain(room)
                record(.left, room, there.room, user: there.user, displayName: there.displayName, at: now)
                rooms.release(room)
            }
        }
        for (room, user, displayName) in rooms.attendance()
        where !stored.contains(AttendanceKey(room: room, user: user)) {
            record(.joined, rooms.index(of: room)!, room, user: user, displayName: displayName, at: now)
        }
    }

    private struct AttendanceKey: Hashable {
        let room: Text
        let user: Text
    }
}

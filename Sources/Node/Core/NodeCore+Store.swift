import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// What the store tells, and what follows from that for all who wait: what is stored is shown, what was given up is taken
/// back and told, and a store that was closed is opened anew. What becomes of a batch itself: `CommitPipeline`.
extension NodeCore {
    mutating func handle(_ event: StoreEvent, at now: UInt64, into effects: inout [CoreEffect]) {
        switch event {
        case .opened(let recovered):
            opened(recovered, at: now, into: &effects)
        case .committed:
            committed(at: now, into: &effects)
        case .pruned(let pruned):
            counters.pruned &+= pruned.dropped
            retention.finished(hasMore: pruned.hasMore)
            replicate(.floorsRose(pruned.floors), at: now, into: &effects)
        case .staged:
            staging.finished()
            replicate(.staged, at: now, into: &effects)
        case .installed(let recovered):
            staging.finished()
            installed(recovered, at: now, into: &effects)
        case .parted(let dot):
            staging.finished()
            replicate(.snapshotParted(dot), at: now, into: &effects)
        case .reloaded(let recovered):
            staging.finished()
            reloaded(recovered, at: now, into: &effects)
        case .failed(let error):
            retention.failed()
            staging.failed()
            let isUnknown =
                if case .unknownOutcome = error { !options.planted.has(.unknownTakenAsFailed) } else { false }
            if !isUnknown || !pipeline.doubt(moves: &ready) { fail(pipeline.takeInFlight(), at: now) }
            if !options.planted.has(.keptAfterFailure) { fail(pipeline.takeOpen(), at: now) }
            rollBack(at: now, into: &effects)
            counters.batchesFailed &+= 1
            reopen(after: error, into: &effects)
        case .openFailed(let error):
            reopen(after: error, into: &effects)
        }
    }

    // MARK: Committed

    private mutating func committed(at now: UInt64, into effects: inout [CoreEffect]) {
        guard pipeline.flight == .underway else { return }
        deliverReady(into: &effects)
        let before = position
        let batch = pipeline.stored()
        if let mark = batch.documents { documents.settle(through: mark) }
        if let mark = batch.attendance { attendance.settle(through: mark) }
        // Room frames go to the loops that have members now: who has come in since then is in the room from there on.
        var loops = batch.frames.loops
        batch.frames.forEachRoom { room in loops.formUnion(rooms.loops(in: room)) }
        for room in batch.rooms { rooms.release(room) }
        let stored = batch.batch
        let keys = batch.keys
        for wait in batch.copies { copies.add(wait) }
        let wantsStored = !batch.copies.isEmpty
        var frames = batch.takeFrames()
        frames.complete(stored.entries, by: &encoders)
        if loops != LoopSet() { effects.append(.deliver(frames.finish(position: before, own: ownEnd), loops)) }
        if !keys.isEmpty { answerRepeats(of: stored, at: now) }
        replicate(.stored(stored.entries, wantsStored: wantsStored), at: now, into: &effects)
    }

    private mutating func answerRepeats(of batch: Batch, at now: UInt64) {
        for effect in batch.effects {
            guard case .key(let id, let position) = effect else { continue }
            let repeats = keyed.takeRepeats(of: id)
            guard !repeats.isEmpty, let entry = batch.entries.first(where: { $0.dot == position.dot }) else { continue }
            for again in repeats {
                counters.duplicates &+= 1
                if let ref = again.ref {
                    repeated(id, position, room: entry.room, again.session, copies: again.copies, ref: ref)
                }
            }
        }
    }

    // MARK: Failed

    mutating func fail(_ batch: consuming OpenBatch, at now: UInt64) {
        var batch = batch
        memberNotes.putBack(batch.batch.effects)
        ready.takeMoves(of: &batch.frames)
        let reads = batch.takeReads()
        if options.planted.has(.readsRefused) {
            for read in reads { refuse(.storageUnavailable, read.session, ref: read.ref, at: now) }
        } else {
            pipeline.interrupt(reads)
        }
        for (session, ref) in batch.waiting { refuse(.storageUnavailable, session, ref: ref, at: now) }
        for id in batch.keys {
            for again in keyed.takeRepeats(of: id) {
                refuse(.storageUnavailable, again.session, ref: again.ref, at: now)
            }
        }
        for room in batch.rooms { rooms.release(room) }
    }

    /// Takes back everything placed after what is stored or, while that is in doubt, after what may be.
    mutating func rollBack(at now: UInt64, into effects: inout [CoreEffect]) {
        defer { answerInterruptedReads(at: now) }
        guard log != nil else { return }
        documents.rollBack(to: pipeline.inFlight.documents ?? documents.settled)
        attendance.rollBack(to: pipeline.inFlight.attendance ?? attendance.settled, at: monotonic)
        if !options.planted.has(.reusedSequence) { pipeline.rollBack() }
        replicate(.failed(kept: pipeline.inFlight.batch.entries), at: now, into: &effects)
    }

    private static let waits: [Duration] = [
        .milliseconds(100), .milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2),
    ]

    private mutating func reopen(after error: StoreError, into effects: inout [CoreEffect]) {
        var failures = 0
        if case .unavailable(let before) = store { failures = before + 1 }
        store = .unavailable(failures: failures)
        storeTrouble = error.kind
        let wait = Self.waits[min(failures, Self.waits.count - 1)]
        effects.append(.report(.storeUnavailable(error, retryIn: wait)))
        var renew = false
        if case .syncFailed = error { renew = true }
        effects.append(.openStore(after: wait, held: held, renew: renew))
    }

    var held: WriterStart.Held? {
        guard let log else { return nil }
        return WriterStart.Held(replica: log.replica, committed: log.committedSeq, vector: position)
    }

    // MARK: Opened

    private mutating func opened(_ recovered: Recovered, at now: UInt64, into effects: inout [CoreEffect]) {
        // What waits says nothing of what the store has beyond what was handed out: a resume among it is owed that.
        if !options.planted.has(.handedOutByOpening) { deliverReady(into: &effects) }
        decideDoubt(recovered, at: now, into: &effects)
        let end = Dot(replica: recovered.replica, seq: recovered.head)
        let isSame = pipeline.committedEnd == end && recovered.vector == position
        let isFirst = log == nil
        let before = position
        if !isSame || reloading {
            pipeline.restart(LogHead(replica: recovered.replica, seq: recovered.head, hash: recovered.headHash))
            load(recovered)
        }
        replicator.mendsForks = recovered.canReload
        if isFirst, rooms.occupied > 0 {
            for room in rooms.occupiedRooms { readyLoops.formUnion(rooms.loops(in: room)) }
            ready.append(to: .begin)
        } else if !isFirst, reloading || recovered.vector != before {
            feedEverybody(from: before, into: &effects)
        }
        reloading = false
        clock = HybridClock(last: max(clock.last, recovered.clock))
        store = .ready
        storeTrouble = nil
        shared.opened(recovered, at: monotonic)
        effects.append(
            .report(
                .storeOpened(
                    replica: recovered.replica, head: recovered.head, boot: recovered.boot, adopted: recovered.adopted))
        )
        if let reason = recovered.renewal { effects.append(.report(.identityRenewed(reason))) }
        switch recovered.privacy {
        case .kept: break
        case .tightened: effects.append(.report(.filesTightened))
        case .exposed(let file): effects.append(.report(.filesExposed(file)))
        }
        if let wall = recovered.wall { skews.note(.sharedStore, wall: wall, at: monotonic) }
        lookAtClock(at: now, into: &effects)
        join(recovered, at: now, into: &effects)
        judgeAll()
        correctDueAttendance(at: now)
    }

    /// What the store holds takes the place of all that was known of it.
    private mutating func load(_ recovered: Recovered) {
        pipeline.jump(to: recovered.vector)
        documents = Documents(limits: options.documents, planted: options.planted)
        for cell in recovered.documents { documents.load(cell) }
        attendance.load(recovered.attendance, isComplete: recovered.attendanceComplete)
    }

    /// A snapshot is what the store has now. What is in the open batch, all of it this node's own, stands on top of it.
    private mutating func installed(_ recovered: Recovered, at now: UInt64, into effects: inout [CoreEffect]) {
        let before = position
        load(recovered)
        clock.observe(recovered.clock, wall: now, limit: .max)
        for entry in pipeline.open.batch.entries {
            guard case .document(let payload) = entry.meaning else { continue }
            _ = documents.apply(
                payload.delta, to: payload.document(in: entry.room), dot: entry.dot, timestamp: entry.timestamp)
        }
        pipeline.open.documents = documents.mark
        for case .attendance(let record) in pipeline.open.batch.effects { _ = attendance.apply(record) }
        pipeline.open.attendance = attendance.mark
        effects.append(.report(.snapshotInstalled(floors: recovered.floors)))
        replicate(
            .installed(vector: recovered.vector, ends: recovered.ends, floors: recovered.floors), at: now,
            into: &effects)
        for entry in pipeline.open.batch.entries { replicator.place(entry) }
        feedEverybody(from: before, into: &effects)
        judgeAll()
    }

    // MARK: Reloaded

    /// Nothing is taken until the store holds what takes the place of all that it has. What is open was placed on that.
    mutating func suspend(at now: UInt64, into effects: inout [CoreEffect]) {
        fail(pipeline.takeOpen(), at: now)
        rollBack(at: now, into: &effects)
        store = .unavailable(failures: 0)
    }

    /// A peer's state is what the store has now, and on top of it what was only there. Where the own log is not what it
    /// was, it is left to the others.
    private mutating func reloaded(_ recovered: Recovered, at now: UInt64, into effects: inout [CoreEffect]) {
        reloading = true
        effects.append(.report(.reloaded))
        replicate(.reloaded, at: now, into: &effects)
        let isSame = recovered.head == log?.committedSeq && recovered.headHash == log?.committedHash
        var held = held
        if !isSame { held?.givenUp = .fork }
        effects.append(.openStore(after: .zero, held: held, renew: !isSame))
    }

    /// Who is here has been shown what was known before; the store has the rest. Where it has not all of that any more, as
    /// when a standby has taken the database's place, how far the logs have been handed out goes back with it, in every
    /// loop. A store that was joined to a peer's is no such: its logs' numbers may mean other entries than before.
    private mutating func feedEverybody(from before: VersionVector, into effects: inout [CoreEffect]) {
        deliverReady(from: before, into: &effects)
        var loops = LoopSet()
        var left = before
        if !reloading, !position.covers(before), !options.planted.has(.handedOutStays) {
            left = before.limited(to: position)
            ready.append(to: .setBack)
            loops = .all
        }
        for room in rooms.occupiedRooms {
            loops.formUnion(rooms.loops(in: room))
            ready.append(to: .catchUp(room: room))
        }
        if loops != LoopSet() {
            let frames = exchange(&ready, for: FrameBatchBuilder())
            effects.append(.deliver(frames.finish(position: left, own: ownEnd), loops))
        }
    }

    /// Decides what became of a batch whose commit had no answer: the log has it whole, or not at all.
    private mutating func decideDoubt(_ recovered: Recovered, at now: UInt64, into effects: inout [CoreEffect]) {
        guard let isStored = pipeline.decide(by: recovered.vector) else { return }
        if isStored { committed(at: now, into: &effects) } else { fail(pipeline.takeInFlight(), at: now) }
        rollBack(at: now, into: &effects)
    }
}

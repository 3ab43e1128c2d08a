import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// The storage threads of a node: the writer does one thing at a time, readers answer late and out of order.
extension World {
    func newDisk(of node: Int) -> Disk {
        let slowest = diskChoices.within(300...15_000)
        let store: any DiskStore =
            node < scenario.sharing
            ? SharedMemoryStore(database, holder: newHolder())
            : MemoryStore(sync: scenario.sync, planted: scenario.plantedInStores)
        let disk = Disk(
            index: disks.count, store: store, latency: 100...slowest,
            reading: 50...diskChoices.within(200...20_000))
        disks.append(disk)
        return disk
    }

    // MARK: The writer

    func openStore(_ node: SimulatedNode, after wait: Microseconds, held: WriterStart.Held?, renew: Bool) {
        if node.opening != nil { violate(.contract, node.index, "the store is opened twice") }
        node.opening = (held, renew)
        trace.note(now, node.index, "open", wait)
        schedule(.storeOpens(node.index, life: node.life), after: wait + diskChoices.within(node.disk.latency))
    }

    func storeOpens(_ node: SimulatedNode) {
        if delayed(node, .storeOpens(node.index, life: node.life)) { return }
        guard let opening = node.opening else { return }
        node.opening = nil
        let start = writerStart(node, held: opening.held, renew: opening.renew)
        do throws(StoreError) {
            let (writer, recovered) = try node.disk.store.openWriter(start)
            node.writer = writer
            look(at: node)
            trace.note(
                now, node.index, "opened", recovered.replica.rawValue, recovered.head,
                "as \(recovered.replica) at \(recovered.head), boot \(recovered.boot)"
                    + (recovered.renewal.map { ", \($0)" } ?? ""))
            guard node.disk.shared == nil else { return tellLater(.opened(recovered), to: node) }
            post(.store(.opened(recovered)), to: node)
            opened(node, recovered.vector)
        } catch {
            trace.note(now, node.index, "open failed", 0, 0, error.message)
            post(.store(.openFailed(error)), to: node)
        }
    }

    /// Who came before the store was open has been shown nothing of what is in it, and nothing of that will come live.
    func opened(_ node: SimulatedNode, _ vector: VersionVector) {
        guard !node.hasOpened else { return }
        node.hasOpened = true
        for connection in connections where connection.node == node.index && connection.life == node.life {
            connection.before.merge(vector)
            clients[connection.client].excuse(vector, connection)
        }
    }

    func writerStart(_ node: SimulatedNode, held: WriterStart.Held? = nil, renew: Bool = false) -> WriterStart {
        // One in a run's identities is enough of a name; the node in it makes traces readable.
        let fresh = UInt64(0xA0 + node.index) << 56 | identities.next() >> 8
        return WriterStart(
            freshReplica: ReplicaID(rawValue: fresh), machine: "m\(node.index)", machineBoot: "b\(node.machineBoot)",
            nodeName: node.name.string, held: held, renew: renew, attendanceLimit: scenario.isTight ? 3 : 262_144)
    }

    func giveWriter(_ node: SimulatedNode, _ work: SimulatedNode.Work) {
        if node.work != nil || node.told != nil { violate(.contract, node.index, "the writer is given two things") }
        if node.writer == nil { violate(.contract, node.index, "work for a closed writer") }
        if case .commit(let batch) = work {
            // Where others look on, it shows that the writer lives.
            if batch.entries.isEmpty, batch.effects.isEmpty, node.disk.shared == nil {
                violate(.contract, node.index, "an empty batch")
            }
            trace.note(now, node.index, "commit", UInt64(batch.entries.count), 0, Describe.batch(batch))
        }
        node.work = work
        schedule(.storeWorks(node.index, life: node.life), after: diskChoices.within(node.disk.latency))
    }

    func storeWorks(_ node: SimulatedNode) {
        if delayed(node, .storeWorks(node.index, life: node.life)) { return }
        guard let work = node.work, let writer = node.writer else { return }
        node.work = nil
        switch work {
        case .commit(let batch): node.told = append(batch, writer, node)
        case .prune, .stage, .install, .reload:
            let floors = node.disk.store.floors
            var bodies: Set<String> = []
            if case .reload = work { bodies = node.disk.bodies }
            do throws(StoreError) {
                node.told = try carryOut(work, writer)
            } catch {
                node.told = .failed(error)
            }
            let before = node.disk.vector
            look(at: node)
            if case .reloaded? = node.told { noteReload(node, before, bodies) }
            if node.disk.vector != before { compareStates(node) }
            if case .pruned? = node.told { checkFloors(node.disk.store.floors, since: floors, node) }
        }
        if case .failed(let error)? = node.told {
            node.writer = nil
            trace.note(now, node.index, "write failed", 0, 0, error.message)
        }
        // Between being stored and being known to be.
        schedule(.storeTells(node.index, life: node.life), after: diskChoices.within(20...500))
    }

    /// A disk has taken over another's state: entries stand in it that no batch had, and some may be gone; a message is not.
    private func noteReload(_ node: SimulatedNode, _ before: VersionVector, _ bodies: Set<String>) {
        counts.reloads += 1
        ledger.lost(before, node.disk.vector, others: disks.filter { $0 !== node.disk }.map(\.vector))
        if scenario.retention == 0 {
            let gone = bodies.subtracting(node.disk.bodies).subtracting(ledger.redactedBodies)
            for body in gone.sorted() { violate(.acknowledged, node.index, "\(body) went with a reload") }
        }
        // What was moved may have come to two copies of one log.
        guard let reader = try? node.disk.store.openReader() else { return }
        let floors = node.disk.store.floors
        for head in node.disk.vector.components {
            ledger.stored((try? reader.entries(of: head.replica, from: floors[head.replica] + 1, limit: .max)) ?? [])
        }
    }

    /// What a node folds every member that has a vote must have: here, whoever it has had a link to for some time, whose disk
    /// was never lost, where nobody is forgotten. A floor that came with a snapshot is another's: a node that has met nobody
    /// yet is its only voter.
    private func checkFloors(_ floors: VersionVector, since before: VersionVector, _ node: SimulatedNode) {
        guard scenario.retention == 0, scenario.forgetAfter >= 86_400_000, !floors.isEmpty else { return }
        for link in openLinks where link.nodes.contains(node.index) && link.openedAt + .seconds(5) < now {
            let other = nodes[link.nodes[0] == node.index ? link.nodes[1] : link.nodes[0]]
            guard other.hasKeptDisk, other.index != node.index, node.hasKeptDisk else { continue }
            for floor in floors.components
            where floor.seq > before[floor.replica] && other.disk.most[floor.replica] < floor.seq {
                violate(.bounds, node.index, "\(floor) is folded, and node \(other.index) has not got so far")
            }
        }
    }

    private func carryOut(_ work: SimulatedNode.Work, _ writer: any StoreWriter) throws(StoreError) -> StoreEvent {
        switch work {
        case .commit: return .committed
        case .prune(let pruning): return .pruned(try writer.prune(pruning))
        case .stage(let chunk, let discardsFirst):
            if discardsFirst { try writer.discardStage() }
            try writer.stage(chunk)
            return .staged
        case .install(let chunk, let have, let discardsFirst):
            if discardsFirst { try writer.discardStage() }
            if let dot = try writer.fork(in: chunk) { return .parted(dot) }
            return .installed(try writer.install(chunk, have: have))
        case .reload(let chunk, let discardsFirst):
            if discardsFirst { try writer.discardStage() }
            return .reloaded(try writer.reload(chunk))
        }
    }

    /// Lets the disk have a batch, and looks what it made of it.
    @discardableResult
    func append(_ batch: Batch, _ writer: any StoreWriter, _ node: SimulatedNode) -> StoreEvent {
        let before = node.disk.vector
        var told = StoreEvent.committed
        do throws(StoreError) {
            try writer.append(batch)
        } catch {
            told = .failed(error)
        }
        look(at: node)
        if case .failed(.unknownOutcome) = told { awaitLateCommits(node) }
        guard node.disk.vector != before else { return told }
        ledger.stored(batch.entries)
        if isHealed, measures != nil, agreedAfter == 0, nodes.allSatisfy({ $0.disk.vector == node.disk.vector }) {
            agreedAfter = now - healedAt
        }
        compareStates(node)
        return told
    }

    func storeTells(_ node: SimulatedNode) {
        if delayed(node, .storeTells(node.index, life: node.life)) { return }
        guard let told = node.told else { return }
        node.told = nil
        trace.note(now, node.index, "told", 0, 0, Describe.store(told))
        if case .opened(let recovered) = told { opened(node, recovered.vector) }
        post(.store(told), to: node)
    }

    /// Reads how far the store is: a shared one for all who share it.
    func look(at node: SimulatedNode) {
        guard node.disk.shared != nil else { return node.disk.look() }
        for disk in disks where disk.shared != nil { disk.look() }
    }

    /// A paused process does nothing; what would happen happens when it goes on.
    func delayed(_ node: SimulatedNode, _ happening: Happening) -> Bool {
        guard node.pausedUntil > now else { return false }
        queue.schedule(happening, at: node.pausedUntil)
        return true
    }

    // MARK: Readers

    func giveReader(_ node: SimulatedNode, _ request: ReadRequest) {
        node.readCount += 1
        node.reads[node.readCount] = .init(request: request)
        schedule(
            .readerReads(node.index, life: node.life, read: node.readCount),
            after: readerChoices.within(node.disk.reading))
    }

    func readerReads(_ node: SimulatedNode, _ read: Int) {
        if delayed(node, .readerReads(node.index, life: node.life, read: read)) { return }
        guard let request = node.reads[read]?.request else { return }
        node.reads[read]!.answer = answer(request, node)
        schedule(
            .readerAnswers(node.index, life: node.life, read: read), after: readerChoices.within(node.disk.reading))
    }

    func readerAnswers(_ node: SimulatedNode, _ read: Int) {
        if delayed(node, .readerAnswers(node.index, life: node.life, read: read)) { return }
        guard let answer = node.reads.removeValue(forKey: read)?.answer else { return }
        switch answer {
        case .event(let event): post(event, to: node)
        case .frames(let frames, let loop, let event):
            wake(node, loop, .frames(frames))
            post(event, to: node)
        case .loop(let message, let loop): wake(node, loop, message)
        }
    }

    /// What a reader thread makes of a request: see `StorageReaders`.
    private func answer(_ request: ReadRequest, _ node: SimulatedNode) -> ReadAnswer {
        do throws(StoreError) {
            return try found(request, try node.disk.store.openReader(), node)
        } catch {
            return failed(request, error, node)
        }
    }

    func stamp(_ node: SimulatedNode) -> FrameStamp {
        FrameStamp(id: MessageID(high: 0xF00D, low: identities.next()), milliseconds: node.clock.wall(at: now))
    }

    private func found(
        _ request: ReadRequest, _ reader: any StoreReader, _ node: SimulatedNode
    ) throws(StoreError) -> ReadAnswer {
        switch request {
        case .keys(let ids):
            return .event(.keysFound(ids, .success(try reader.positions(of: ids))))
        case .range(let ticket, let ranges, let bytes):
            return .event(.rangeRead(ticket: ticket, .success(try reader.range(ranges, limit: bytes))))
        case .snapshot(let ticket, let want):
            return .event(.snapshotRead(ticket: ticket, .success(try reader.snapshot(want))))
        case .attendance(let seats):
            let records = try reader.attendance(of: seats.map { ($0.room, $0.user) })
            return .event(.attendanceRead(seats, .success(records)))
        case .heads:
            return .event(.headsRead(.success(try reader.heads())))
        case .shared(let number, let ranges, let bytes):
            return .event(.sharedRead(number: number, .success(try reader.range(ranges, limit: bytes))))
        case .history(var page):
            page.planted = scenario.planted
            var encoder = ServerFrameEncoder()
            let (frames, needs) = try page.read(reader, stamp(node), &encoder)
            guard page.position.covers(needs) || scenario.planted.has(.readBeyondApplied) else {
                return .event(
                    .readAhead(
                        ReadAhead(request: request, session: page.session, answer: .frames(frames), needs: needs)))
            }
            return .frames(frames, loop: page.session.loop, .historyAnswered(page.session))
        case .feed(let session, let question, let room, let limit):
            let feed = FeedReader(question: question, session: session, room: room, limit: limit)
            var encoder = ServerFrameEncoder()
            let (frames, page) = try feed.read(reader, stamp(node), &encoder)
            let answer = LoopMessage.feed(session, ask: question.number, frames: frames, page)
            guard question.position.covers(page.needs) || scenario.planted.has(.readBeyondApplied) else {
                return .event(
                    .readAhead(ReadAhead(request: request, session: session, answer: answer, needs: page.needs)))
            }
            return .loop(answer, loop: session.loop)
        }
    }

    private func failed(_ request: ReadRequest, _ error: StoreError, _ node: SimulatedNode) -> ReadAnswer {
        switch request {
        case .keys(let ids): return .event(.keysFound(ids, .failure(error)))
        case .range(let ticket, _, _): return .event(.rangeRead(ticket: ticket, .failure(error)))
        case .snapshot(let ticket, _): return .event(.snapshotRead(ticket: ticket, .failure(error)))
        case .attendance(let seats): return .event(.attendanceRead(seats, .failure(error)))
        case .heads: return .event(.headsRead(.failure(error)))
        case .shared(let number, _, _): return .event(.sharedRead(number: number, .failure(error)))
        case .history(let page):
            var encoder = ServerFrameEncoder()
            let frames = page.failed(stamp(node), &encoder)
            return .frames(frames, loop: page.session.loop, .historyAnswered(page.session))
        case .feed(let session, let question, _, _):
            return .loop(.feedFailed(session, ask: question.number), loop: session.loop)
        }
    }
}

import ConvergeCRDT
import ConvergeStorage
import ConvergeTransport
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Readers on a store in memory; the test's own thread is the reader's.
@Suite("StorageReaders") struct StorageReadersTests {
    private struct Setting {
        let node: CoreUnderTest
        let core: Mailbox<CoreEvent>
        let loop: Mailbox<LoopMessage>
        let readers: StorageReaders

        init(backlog: Int = 100) throws {
            node = CoreUnderTest(loops: 1, saveBuffer: 1_000)
            core = try Mailbox()
            loop = try Mailbox()
            readers = StorageReaders(
                store: node.store, queue: WorkQueue(capacity: backlog), core: core, loops: [loop],
                metrics: Metrics(depths: QueueDepths()), frameSeed: 5)
        }

        /// What the loop is told when all that was asked for is answered.
        func answers() -> [LoopMessage] {
            readers.finish()
            readers.run(thread: 0)
            var messages: [LoopMessage] = []
            loop.drain(into: &messages)
            return messages
        }
    }

    private func frames(_ batch: FrameBatch) -> [ShownFrame] {
        batch.records.compactMap { ShownFrame(batch.bytes(of: $0)) }
    }

    private func page(for session: SessionID, at position: VersionVector) -> HistoryReader {
        HistoryReader(session: session, ref: "r", room: "lobby", before: nil, limit: 50, position: position)
    }

    @Test("history is one frame for who asked, and without a store an error")
    func history() throws {
        let setting = try Setting()
        let ann = setting.node.enter("ann")
        setting.node.say(ann, "hello")
        setting.node.settle()
        setting.readers.submit(.history(page(for: ann, at: setting.node.core.position)))
        guard case .frames(let batch, _)? = setting.answers().first else {
            Issue.record("no answer")
            return
        }
        #expect(frames(batch).map(\.type) == ["history"] && frames(batch).first?.ref == "r")

        let broken = try Setting()
        broken.node.store.setOutage(.unreachable("gone"))
        broken.readers.submit(.history(page(for: ann, at: setting.node.core.position)))
        guard case .frames(let batch, _)? = broken.answers().first else {
            Issue.record("no answer")
            return
        }
        #expect(frames(batch).map(\.description) == ["error history unavailable r"])
    }

    @Test("a feed gives what the cursor does not cover, in pages, with the frames that were shown live")
    func feed() throws {
        let setting = try Setting()
        let node = setting.node
        let ann = node.enter("ann")
        node.send(ann, .set("first"))
        node.send(ann, .add("x"))
        node.send(ann, .remove("x"))
        node.settle()
        let live = node.shown(ann).filter { $0.seq != nil }
        for number in 0..<StorageReaders.feedLength { node.say(ann, "\(number)", room: nil) }
        node.settle()
        let length = StorageReaders.feedLength
        for cursor in [VersionVector(), node.core.position] {
            let question = Feed.Question(number: 1, purpose: .catchUp, cursor: cursor, position: node.core.position)
            setting.readers.submit(.feed(ann, question, room: "lobby", limit: length))
        }
        let answers = setting.answers()
        guard answers.count == 2, case .feed(_, 1, let page, let first) = answers[0],
            case .feed(_, 1, let rest, let second) = answers[1]
        else {
            Issue.record("not two pages")
            return
        }
        #expect(frames(page).prefix(4).map(\.description) == live.map(\.description))
        #expect(live.map(\.description).contains("crdt_lww_set first"))
        #expect(page.records.count == StorageReaders.feedLength && !first.isLevel)
        #expect(first.reached.covers(page.records.last?.dot ?? Dot(replica: ReplicaID(rawValue: 1), seq: 1)))
        #expect(rest.records.isEmpty && second.isLevel && second.reached == node.core.position)
    }

    @Test("a resume gets history in pages, the documents' names, and what has been dropped")
    func resume() throws {
        let setting = try Setting()
        let node = setting.node
        let ann = node.enter("ann")
        node.settle()
        let start = node.core.position
        node.say(ann, "one")
        node.send(ann, .set("first"))
        node.send(ann, .add("x", doc: "other"))
        node.say(ann, "two")
        node.settle()
        node.say(ann, "three")
        node.settle()
        let dots = node.shown(ann).filter { $0.type == "message" }.compactMap(\.dot)
        let seen = Feed.Shown(since: start, position: VersionVector([dots[0]]), feed: nil)
        for (limit, shown) in [(4, nil), (100, nil), (100, seen)] as [(Int, Feed.Shown?)] {
            let question = Feed.Question(
                number: 1, purpose: .resume, cursor: start, shown: shown, origin: start,
                position: node.core.position)
            setting.readers.submit(.feed(ann, question, room: "lobby", limit: limit))
        }
        let pages: [(FrameBatch, Feed.Page)] = setting.answers().compactMap {
            if case .feed(_, 1, let batch, let page) = $0 { (batch, page) } else { nil }
        }
        let bodies = pages.map { frames($0.0).flatMap(\.history).map(\.body) }
        #expect(bodies == [["one", "two"], ["one", "two", "three"], ["two", "three"]])
        #expect(pages.map(\.1.isLevel) == [false, true, true])
        #expect(pages.map(\.1.documents) == [[], ["d", "other"], ["d", "other"]])
        #expect(pages.map { frames($0.0).first?.changed } == [["d", "other"], ["d", "other"], ["d", "other"]])
        #expect(frames(pages[0].0).first?.cursor == pages[0].1.reached && pages[1].1.reached == node.core.position)
    }

    @Test("what was folded away is named, and is no reason to say that something may be missing")
    func folded() throws {
        let setting = try Setting()
        let node = setting.node
        let ann = node.enter("ann")
        node.settle()
        let start = node.core.position
        node.send(ann, .set("first"))
        node.say(ann, "one")
        node.send(ann, .add("x", doc: "other"))
        node.settle()
        // The disk, as another process finds it.
        let disk = node.store.copy(keepingFile: true)
        let writer = try disk.openWriter(
            WriterStart(freshReplica: ReplicaID(rawValue: 99), machine: "m", machineBoot: "b", nodeName: "n")
        ).writer
        func resume() throws -> (ShownFrame?, Feed.Page) {
            let question = Feed.Question(
                number: 1, purpose: .resume, cursor: start, origin: start,
                position: node.core.position)
            var encoder = ServerFrameEncoder()
            let (batch, page) = try FeedReader(question: question, session: ann, room: "lobby", limit: 10)
                .read(disk.openReader(), FrameStamp(id: MessageID(high: 0, low: 1), milliseconds: 1), &encoder)
            return (frames(batch).first, page)
        }
        _ = try writer.prune(
            Pruning(entriesBefore: .zero, keysBefore: .zero, foldThrough: node.core.position, limit: 100))
        let (frame, page) = try resume()
        #expect(frame?.history.map(\.body) == ["one"] && (frame?.changed ?? []).isEmpty)
        #expect(page.isLevel && start.covers(page.horizon) && page.documents == ["d", "other"])
        // What they are named for, though there is no entry of it any more.
        #expect(page.needs == node.core.position)
        _ = try writer.prune(Pruning(entriesBefore: HybridTimestamp(rawValue: 1 << 62), keysBefore: .zero, limit: 100))
        let (none, rest) = try resume()
        #expect(none == nil && !start.covers(rest.horizon) && rest.documents == ["d", "other"])
    }

    @Test(
        "what is ahead of what was handed out goes to the core, with all that it needs; within it, it leaves that out")
    func ahead() throws {
        let setting = try Setting()
        let node = setting.node
        let ann = node.enter("ann")
        node.say(ann, "one")
        node.settle()
        let before = node.core.position
        node.say(ann, "two")
        node.settle()
        var pages = [page(for: ann, at: before), page(for: ann, at: before)]
        pages[1].isBounded = true
        var questions: [Feed.Question] = []
        for purpose in [Feed.Purpose.resume, .catchUp] {
            questions.append(
                Feed.Question(number: 1, purpose: purpose, cursor: VersionVector(), position: before))
            questions.append(questions.last!)
            questions[questions.count - 1].isBounded = true
        }
        for page in pages { setting.readers.submit(.history(page)) }
        for question in questions { setting.readers.submit(.feed(ann, question, room: "lobby", limit: 10)) }
        let answers = setting.answers()
        var shown: [[String]] = []
        var cut: [Bool] = []
        for answer in answers {
            switch answer {
            case .frames(let batch, _): shown.append(frames(batch).flatMap(\.history).map(\.body))
            case .feed(_, _, let batch, let page):
                shown.append(frames(batch).flatMap { $0.type == "history" ? $0.history : [$0] }.map(\.body))
                cut.append(page.isCut)
                // Not only in the end: whoever goes on from this page must know.
                #expect(frames(batch).allSatisfy { $0.type != "history" || $0.recovered == false })
                #expect(page.reached == before && page.isLevel)
            default: Issue.record("\(answer)")
            }
        }
        #expect(shown == Array(repeating: ["ann joined", "one"], count: 3) && cut == [true, true])
        var events: [CoreEvent] = []
        setting.core.drain(into: &events)
        let ahead = events.compactMap { if case .readAhead(let read) = $0 { read.needs } else { nil } }
        #expect(ahead == Array(repeating: node.core.position, count: 3))
        #expect(events.count == 4)  // and one history is answered
    }

    @Test("no page is read of a database of several nodes that has less than was handed out")
    func wentBack() throws {
        let shared = SharedMemoryStore(SharedMemoryDatabase(), holder: 1)
        let handedOut = VersionVector([Dot(replica: ReplicaID(rawValue: 7), seq: 1)])
        func read(_ store: any Store, _ purpose: Feed.Purpose, _ position: VersionVector) throws -> Feed.Page {
            let question = Feed.Question(number: 1, purpose: purpose, cursor: VersionVector(), position: position)
            var encoder = ServerFrameEncoder()
            let session = SessionID(loop: 0, slot: 0, generation: 0)
            return try FeedReader(question: question, session: session, room: "lobby", limit: 10).read(
                store.openReader(), FrameStamp(id: MessageID(high: 0, low: 1), milliseconds: 1), &encoder
            ).1
        }
        for purpose in [Feed.Purpose.resume, .catchUp] {
            #expect(throws: StoreError.self) { try read(shared, purpose, handedOut) }
            #expect(try read(shared, purpose, VersionVector()).isLevel)
            // Of a store of the node's own nothing is taken while it runs, but where a fork was mended.
            #expect(try read(MemoryStore(), purpose, handedOut).isLevel)
        }
    }

    @Test("keys are answered to the core, with the reason where they can't be looked up")
    func keys() throws {
        let setting = try Setting()
        let id = MessageID(high: 1, low: 2)
        setting.readers.submit(.keys([id]))
        setting.readers.finish()
        setting.readers.run(thread: 0)
        var events: [CoreEvent] = []
        setting.core.drain(into: &events)
        guard case .keysFound([id], .success(let found))? = events.first else {
            Issue.record("no answer")
            return
        }
        #expect(found.isEmpty)
    }

    @Test("with too many reads waiting the next one fails at once")
    func full() throws {
        let setting = try Setting(backlog: 1)
        let ann = setting.node.enter("ann")
        for number: UInt64 in [1, 7] {
            let question = Feed.Question(
                number: number, purpose: .catchUp, cursor: VersionVector(),
                position: VersionVector())
            setting.readers.submit(.feed(ann, question, room: "lobby", limit: 10))
        }
        setting.readers.submit(.keys([MessageID(high: 1, low: 2)]))
        var events: [CoreEvent] = []
        setting.core.drain(into: &events)
        guard case .keysFound(_, .failure(.timeout))? = events.first else {
            Issue.record("the keys' answer is no failure")
            return
        }
        guard case .feedFailed(ann, ask: 7)? = setting.answers().first else {
            Issue.record("the feed's answer is no failure")
            return
        }
    }
}

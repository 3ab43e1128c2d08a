import ConvergeCRDT
import ConvergeStorage
import ConvergeTransport
import ConvergeWire

/// A few threads, each with a read connection of its own: history, look-ups of keys, and what slow clients missed.
///
/// So nobody who reads waits for a commit, nor a commit for them. Answers for clients are encoded here and go straight to
/// the client's loop.
final class StorageReaders: Sendable {
    static let threads = 2
    /// How many requests may wait; past it, a request is answered as a failed one.
    static let backlog = 4_096
    /// The most entries of one page for a slow client.
    static let feedLength = 128

    private let queue: WorkQueue<ReadRequest>
    private let store: any Store
    private let core: Mailbox<CoreEvent>
    private let loops: [Mailbox<LoopMessage>]
    private let metrics: Metrics
    private let frameSeed: UInt64

    init(
        store: any Store, queue: WorkQueue<ReadRequest>, core: Mailbox<CoreEvent>, loops: [Mailbox<LoopMessage>],
        metrics: Metrics, frameSeed: UInt64
    ) {
        self.store = store
        self.queue = queue
        self.core = core
        self.loops = loops
        self.metrics = metrics
        self.frameSeed = frameSeed
    }

    /// Hands a request to a free reader. A full queue answers at once, as a failure.
    func submit(_ request: ReadRequest) {
        if !queue.put(request) {
            metrics.readsFailed.add(1)
            answer(request, .timeout("too many reads are waiting"), MessageID(high: SecureRandom.word(), low: 0))
        }
    }

    func finish() { queue.close() }

    /// A thread's body. `thread` tells the threads' frame ids apart.
    func run(thread: Int) {
        var frameIDs = FrameIDs(seed: frameSeed ^ UInt64(thread + 1) << 32)
        var encoders = FrameEncoders()
        var reader: (any StoreReader)?
        while let request = queue.take() {
            metrics.reads.add(1)
            do throws(StoreError) {
                let open = if let reader { reader } else { try store.openReader() }
                reader = open
                try serve(request, open, frameIDs.next(), &encoders)
            } catch {
                reader = nil  // opened anew for the next request
                metrics.readsFailed.add(1)
                answer(request, error, frameIDs.next())
            }
        }
    }

    private func serve(
        _ request: ReadRequest, _ reader: any StoreReader, _ id: MessageID, _ encoders: inout FrameEncoders
    ) throws(StoreError) {
        let stamp = FrameStamp(id: id, milliseconds: SystemClock.wallMilliseconds())
        switch request {
        case .keys(let ids):
            let positions = try reader.positions(of: ids)
            core.post(.keysFound(ids, .success(positions)))

        case .history(let page):
            let (frames, needs) = try page.read(reader, stamp, &encoders[page.session])
            if page.position.covers(needs) {
                loops[page.session.loop].post(.frames(frames))
                core.post(.historyAnswered(page.session))
            } else {
                core.post(
                    .readAhead(
                        ReadAhead(request: request, session: page.session, answer: .frames(frames), needs: needs)))
            }

        case .feed(let session, let question, let room, let limit):
            let feed = FeedReader(question: question, session: session, room: room, limit: limit)
            let (frames, page) = try feed.read(reader, stamp, &encoders[session])
            let answer = LoopMessage.feed(session, ask: question.number, frames: frames, page)
            if question.position.covers(page.needs) {
                loops[session.loop].post(answer)
            } else {
                core.post(
                    .readAhead(ReadAhead(request: request, session: session, answer: answer, needs: page.needs)))
            }

        case .range(let ticket, let ranges, let bytes):
            core.post(.rangeRead(ticket: ticket, .success(try reader.range(ranges, limit: bytes))))
        case .snapshot(let ticket, let want):
            core.post(.snapshotRead(ticket: ticket, .success(try reader.snapshot(want))))
        case .attendance(let keys):
            let records = try reader.attendance(of: keys.map { ($0.room, $0.user) })
            core.post(.attendanceRead(keys, .success(records)))
        case .heads:
            core.post(.headsRead(.success(try reader.heads())))
        case .shared(let number, let ranges, let bytes):
            core.post(.sharedRead(number: number, .success(try reader.range(ranges, limit: bytes))))
        }
    }

    private func answer(_ request: ReadRequest, _ error: StoreError, _ id: MessageID) {
        var encoders = FrameEncoders()
        let stamp = FrameStamp(id: id, milliseconds: SystemClock.wallMilliseconds())
        switch request {
        case .keys(let ids):
            core.post(.keysFound(ids, .failure(error)))
        case .history(let page):
            loops[page.session.loop].post(.frames(page.failed(stamp, &encoders[page.session])))
            core.post(.historyAnswered(page.session))
        case .feed(let session, let question, _, _):
            loops[session.loop].post(.feedFailed(session, ask: question.number))
        case .range(let ticket, _, _):
            core.post(.rangeRead(ticket: ticket, .failure(error)))
        case .snapshot(let ticket, _):
            core.post(.snapshotRead(ticket: ticket, .failure(error)))
        case .attendance(let keys):
            core.post(.attendanceRead(keys, .failure(error)))
        case .heads:
            core.post(.headsRead(.failure(error)))
        case .shared(let number, _, _):
            core.post(.sharedRead(number: number, .failure(error)))
        }
    }
}

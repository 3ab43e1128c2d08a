import ConvergeCRDT
import ConvergeStorage
import ConvergeTransport
import ConvergeWire

/// The thread that owns the store's write connection: opens it when told to, commits one batch after another.
///
/// It decides nothing: what happened goes to the core as a `StoreEvent`, and the core says what comes next.
final class StorageWriter: Sendable {
    enum Work: Sendable {
        case open(after: Duration, WriterStart)
        case commit(Batch)
        case prune(Pruning)
        case stage(SnapshotChunk, discardingFirst: Bool)
        case install(SnapshotChunk, have: VersionVector, discardingFirst: Bool)
        case reload(SnapshotChunk, discardingFirst: Bool)
    }

    /// One batch, or one opening, is under way at a time: the core waits for its outcome.
    private let queue = WorkQueue<Work>(capacity: 4)
    private let store: any Store
    private let core: Mailbox<CoreEvent>
    private let metrics: Metrics

    init(store: any Store, core: Mailbox<CoreEvent>, metrics: Metrics) {
        self.store = store
        self.core = core
        self.metrics = metrics
    }

    var storeSummary: String { store.summary }

    func perform(_ work: Work) {
        let taken = queue.put(work)
        precondition(taken || queue.isClosed, "the core gave the writer more than one piece of work")
    }

    /// Ends the thread once what was given is done; the store is closed cleanly.
    func finish() { queue.close() }

    /// The thread's body.
    func run() {
        var writer: (any StoreWriter)?
        while let work = queue.take() {
            switch work {
            case .open(let wait, let start):
                if wait > .zero, queue.pause(wait) { continue }
                // Where a node goes on under a new identity, one is open still.
                writer?.close()
                writer = open(start)
            case .commit(let batch):
                writer = perform(writer) { (writer) throws(StoreError) in
                    let began = SystemClock.monotonic()
                    try writer.append(batch)
                    metrics.committed(entries: batch.entries.count, nanoseconds: SystemClock.monotonic() - began)
                    return .committed
                }
            case .prune(let pruning):
                writer = perform(writer) { (writer) throws(StoreError) in .pruned(try writer.prune(pruning)) }
            case .stage(let chunk, let discardsFirst):
                writer = perform(writer) { (writer) throws(StoreError) in
                    if discardsFirst { try writer.discardStage() }
                    try writer.stage(chunk)
                    return .staged
                }
            case .install(let chunk, let have, let discardsFirst):
                writer = perform(writer) { (writer) throws(StoreError) in
                    if discardsFirst { try writer.discardStage() }
                    if let dot = try writer.fork(in: chunk) { return .parted(dot) }
                    return .installed(try writer.install(chunk, have: have))
                }
            case .reload(let chunk, let discardsFirst):
                writer = perform(writer) { (writer) throws(StoreError) in
                    if discardsFirst { try writer.discardStage() }
                    return .reloaded(try writer.reload(chunk))
                }
            }
        }
        writer?.close()
    }

    private func open(_ start: WriterStart) -> (any StoreWriter)? {
        do throws(StoreError) {
            let (writer, recovered) = try store.openWriter(start)
            core.post(.store(.opened(recovered)))
            return writer
        } catch {
            core.post(.store(.openFailed(error)))
            return nil
        }
    }

    /// Does one thing with the open writer and tells the core what came of it; after an error there is no writer.
    private func perform(
        _ writer: (any StoreWriter)?, _ body: (any StoreWriter) throws(StoreError) -> StoreEvent
    ) -> (any StoreWriter)? {
        guard let writer else {
            core.post(.store(.failed(.unreachable("the store is closed"))))
            return nil
        }
        do throws(StoreError) {
            core.post(.store(try body(writer)))
            return writer
        } catch {
            writer.close()
            core.post(.store(.failed(error)))
            return nil
        }
    }
}

import ConvergeCRDT
import ConvergeStorage
import ConvergeTransport
import ConvergeWire
import Glibc

/// The thread that runs the core: feeds it what comes in its mailbox and carries out what it wants done.
final class CoreThread: Sendable {
    let mailbox: Mailbox<CoreEvent>
    private let options: CoreOptions
    private let writer: StorageWriter
    private let readers: StorageReaders
    private let loops: [Mailbox<LoopMessage>]
    private let peers: PeerDesk?
    private let machine: MachineIdentity
    private let metrics: Metrics
    private let log: Logger

    init(
        mailbox: Mailbox<CoreEvent>, options: CoreOptions, writer: StorageWriter, readers: StorageReaders,
        loops: [Mailbox<LoopMessage>], peers: PeerDesk?, machine: MachineIdentity, metrics: Metrics, log: Logger
    ) {
        self.mailbox = mailbox
        self.options = options
        self.writer = writer
        self.readers = readers
        self.loops = loops
        self.peers = peers
        self.machine = machine
        self.metrics = metrics
        self.log = log
    }

    /// The thread's body: ends when the core has finished.
    /// - Parameter started: called when nothing can throw any more.
    func run(started: () -> Void) throws(SystemError) {
        let poller = try Poller(capacity: 8)
        try poller.add(mailbox.descriptor, .read, tag: 0)
        started()
        var core = NodeCore(options)
        var effects: [CoreEffect] = []
        var events: [CoreEvent] = []
        core.start(into: &effects)
        var memory = MemoryReturn()
        var times = DeliveryTimes()
        var reports = ReportLog(log: log)
        var done = perform(&effects, &reports, &times)
        let tickPeriod = peers == nil ? Self.tickPeriod : Self.clusterTickPeriod
        var lastTick = SystemClock.monotonic()
        var nextLook: UInt64 = 0
        // Whoever came before waits in the loops: nobody's first message is refused for a start that takes a little longer.
        var sessionsHaveBegun = false
        while !done {
            waitForLoops()
            let begin = SystemClock.monotonic()
            let nextTick = lastTick + min(tickPeriod, core.longestTick * 1_000_000)
            let wake = min(nextTick, core.nextCommit ?? .max)
            _ = poller.wait(nanoseconds: wake - min(wake, begin))
            let oldest = mailbox.drain(into: &events)
            times.begin(oldest: oldest, outcome: Self.outcome(events))
            let now = SystemClock.wallMilliseconds()
            let monotonic = SystemClock.monotonic()
            core.turn(nanoseconds: monotonic)
            if monotonic >= nextTick {
                lastTick = monotonic
                core.handle(CoreEvent.tick, at: now, into: &effects)
            }
            if monotonic >= nextLook {
                nextLook = monotonic + Self.tickPeriod
                memory.look(sessions: core.counters.sessions)
            }
            for event in events {
                core.handle(event, at: now, into: &effects)
                if case .link(_, .received(let bytes)) = event { peers?.workedOff(bytes.count) }
            }
            events.removeAll(keepingCapacity: events.count < 4_096)
            core.endTurn(at: now, into: &effects)
            metrics.publish(core.counters)
            if metrics.status.isDue(at: SystemClock.monotonic()) { metrics.publish(core.status(at: now)) }
            done = perform(&effects, &reports, &times)
            times.end()
            if !sessionsHaveBegun, core.store != .opening {
                sessionsHaveBegun = true
                for loop in loops { loop.post(.beginSessions) }
            }
        }
        peers?.mailbox.post(.finish)
    }

    /// How many batches may wait for a loop before the core rests until it has caught up; what comes for the core waits
    /// meanwhile, and the loops, seeing that, refuse with `busy`.
    private static let loopBacklog = 1_024

    private func waitForLoops() {
        while loops.contains(where: { $0.depth > Self.loopBacklog }) { usleep(1_000) }
    }

    /// Nanoseconds between two ticks of a node that is alone.
    private static let tickPeriod: UInt64 = 5_000_000_000
    /// And of one of several, which probes the others and asks for what it lacks.
    private static let clusterTickPeriod: UInt64 = 50_000_000

    /// What became of the batch that was on its way.
    private static func outcome(_ events: [CoreEvent]) -> DeliveryTimes.Outcome? {
        for case .store(let event) in events {
            if case .committed = event { return .stored }
            if case .failed = event { return .failed }
        }
        return nil
    }

    /// Carries out what the core wants, in its order. All that is for the peers stands together: they are woken once.
    ///
    /// - Returns: true where the core has finished.
    private func perform(
        _ effects: inout [CoreEffect], _ reports: inout ReportLog, _ times: inout DeliveryTimes
    ) -> Bool {
        var forPeers: [PeerMessage] = []
        var done = false
        for effect in effects {
            if effect.addressee != .peers { post(&forPeers) }
            switch effect {
            case .openStore(let wait, let held, let renew):
                writer.perform(.open(after: wait, machine.start(nodeName: options.nodeName, held: held, renew: renew)))
            case .commit(let batch):
                times.committed()
                writer.perform(.commit(batch))
            case .prune(let pruning):
                writer.perform(.prune(pruning))
            case .stage(let chunk, let discardsFirst):
                writer.perform(.stage(chunk, discardingFirst: discardsFirst))
            case .install(let chunk, let have, let discardsFirst):
                writer.perform(.install(chunk, have: have, discardingFirst: discardsFirst))
            case .reload(let chunk, let discardsFirst):
                writer.perform(.reload(chunk, discardingFirst: discardsFirst))
            case .dial(let address):
                forPeers.append(.dial(address))
            case .send(let link, let bytes, let isBulk):
                forPeers.append(.send(link, bytes, bulk: isBulk))
            case .closeLink(let link):
                forPeers.append(.close(link))
            case .deliver(let frames, let wanted):
                for (index, loop) in loops.enumerated() where wanted.contains(index) {
                    loop.post(.frames(frames, received: times.handedOut))
                }
            case .pass(let message, let session):
                loops[session.loop].post(message)
            case .read(let request):
                readers.submit(request)
            case .report(let report):
                reports.write(report, store: writer.storeSummary, at: SystemClock.monotonic())
            case .closeSessions:
                for loop in loops { loop.post(.finish) }
            case .finished:
                done = true
            }
        }
        post(&forPeers)
        effects.removeAll(keepingCapacity: true)
        return done
    }

    private func post(_ forPeers: inout [PeerMessage]) {
        guard !forPeers.isEmpty else { return }
        guard let peers else { preconditionFailure("a node that is alone wants to talk to a peer") }
        peers.mailbox.post(contentsOf: &forPeers)
    }
}

import ConvergeStorage
import ConvergeTransport
import Synchronization

/// A number that any thread may change and any thread may read, without order between several of them.
final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    func add(_ amount: Int) { value.wrappingAdd(amount, ordering: .relaxed) }
    func set(_ amount: Int) { value.store(amount, ordering: .relaxed) }
    var current: Int { value.load(ordering: .relaxed) }
}

/// A histogram with fixed upper bounds, in the manner of Prometheus.
final class Histogram: Sendable {
    let bounds: [Double]
    private let counters: [Counter]
    private let sum = Atomic<Int>(0)
    /// What one unit of an observed whole number is worth.
    let unit: Double

    init(bounds: [Double], unit: Double) {
        self.bounds = bounds
        self.unit = unit
        counters = (0...bounds.count).map { _ in Counter() }
    }

    func observe(_ amount: Int) {
        let value = Double(amount) * unit
        counters[bounds.firstIndex { value <= $0 } ?? bounds.count].add(1)
        sum.wrappingAdd(amount, ordering: .relaxed)
    }

    /// For each bound and then for +Inf, how many observations were at or below it.
    var cumulative: [Int] {
        var total = 0
        return counters.map {
            total += $0.current
            return total
        }
    }

    var total: Double { Double(sum.load(ordering: .relaxed)) * unit }
}

/// Asks the queues between the threads how much waits in them.
struct QueueDepths: Sendable {
    var core: @Sendable () -> Int = { 0 }
    var loops: @Sendable () -> Int = { 0 }
    var readers: @Sendable () -> Int = { 0 }
    var log: @Sendable () -> Int = { 0 }
}

/// What a node counts. Loops and the core add once a turn, not once a message.
final class Metrics: Sendable {
    let connections = Counter()
    /// Of each loop.
    let loopConnections = (0..<LoopSet.limit).map { _ in Counter() }
    let connectionsAccepted = Counter()
    let acceptPauses = Counter()
    let upgrades = Counter()
    let framesIn = Counter()
    let framesOut = Counter()
    let bytesIn = Counter()
    let bytesOut = Counter()
    let refusedByLoops = LabelledCounter(SessionMachine.refusals.map(\.text.string))
    let authFailures = Counter()
    let originsRefused = Counter()
    let tlsHandshakesFailed = Counter()
    /// Seconds since 1970; 0 without TLS.
    let certificateEnd = Counter()
    let badRequests = Counter()
    let protocolErrors = Counter()
    let slowTakenOff = Counter()
    let slowClosed = Counter()
    let slowOvertaken = Counter()
    let slowFed = Counter()
    let silentClosed = Counter()

    let messages = Counter()
    let systemEvents = Counter()
    let documentWrites = Counter()
    let duplicates = Counter()
    let readsAhead = Counter()
    /// By `Refusal`.
    let refusedByCore = Refusal.allCases.map { _ in Counter() }
    let batchesFailed = Counter()
    let pruned = Counter()
    let sessions = Counter()
    let rooms = Counter()
    let documents = Counter()
    let saveQueue = Counter()
    let storeReady = Counter()
    /// One more than the place of the kind of error in `StoreError.Kind.allCases`; 0 where there is none.
    private let storeTroubleNumber = Counter()
    /// Whether the node refuses to write for its clocks, how far its latest entry is ahead of its wall clock, in seconds, and
    /// whether that is more than is borne.
    let clockRefuses = Counter()
    let clockAhead = Counter()
    let clockIsFarAhead = Counter()
    let stopping = Counter()

    let commitSeconds = Histogram(
        bounds: [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5], unit: 1e-9)
    let deliverySeconds = Histogram(
        bounds: [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10], unit: 1e-9)
    let batchEntries = Histogram(bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096], unit: 1)
    let peers = PeerCounters()
    let reads = Counter()
    let readsFailed = Counter()

    /// How the node and its cluster are, as of about a second ago.
    let status = StatusBoard()

    /// How much waits where, asked when somebody looks.
    let depths: QueueDepths
    let logLinesDropped: Counter
    /// What the store takes on the disk, asked when somebody looks.
    let sizes: @Sendable () -> StoreSizes?

    /// - Parameter logLinesDropped: the log's own count.
    init(
        depths: QueueDepths, logLinesDropped: Counter = Counter(),
        sizes: @escaping @Sendable () -> StoreSizes? = { nil }
    ) {
        self.depths = depths
        self.logLinesDropped = logLinesDropped
        self.sizes = sizes
    }

    func committed(entries: Int, nanoseconds: UInt64) {
        commitSeconds.observe(Int(clamping: nanoseconds))
        batchEntries.observe(entries)
    }

    func publish(_ core: CoreCounters) {
        messages.set(core.messages)
        systemEvents.set(core.systemEvents)
        documentWrites.set(core.documentWrites)
        duplicates.set(core.duplicates)
        for (counter, count) in zip(refusedByCore, core.refused) { counter.set(count) }
        batchesFailed.set(core.batchesFailed)
        pruned.set(core.pruned)
        readsAhead.set(core.readsAhead)
        sessions.set(core.sessions)
        rooms.set(core.rooms)
        documents.set(core.documents)
        saveQueue.set(core.saveQueue)
        storeReady.set(core.storeReady ? 1 : 0)
        let trouble = core.storeTrouble.flatMap { StoreError.Kind.allCases.firstIndex(of: $0) }
        storeTroubleNumber.set(trouble.map { $0 + 1 } ?? 0)
        clockRefuses.set(core.clock.mayWrite ? 0 : 1)
        clockAhead.set(Int(clamping: core.clockLead / 1_000))
        if case .ahead = core.clock { clockIsFarAhead.set(1) } else { clockIsFarAhead.set(0) }
    }

    func publish(_ status: ClusterStatus) {
        var status = status
        status.connections = connections.current
        self.status.put(status, at: SystemClock.monotonic())
    }

    /// What is wrong with the store, where it has said so.
    var storeTrouble: StoreError.Kind? {
        let number = storeTroubleNumber.current
        return number > 0 ? StoreError.Kind.allCases[number - 1] : nil
    }

    /// Whether the node can do its work: what `/ready` answers.
    var isReady: Bool { storeReady.current == 1 && clockRefuses.current == 0 && stopping.current == 0 }
}

import ConvergeCRDT
import ConvergeWire
import Synchronization

/// One node's way to a shared database in memory, and what goes wrong on it: like `PostgresStore`, one value a process.
public final class SharedMemoryStore: Store, MemorySource {
    /// Something that goes wrong once.
    public enum Fault: Hashable, Sendable {
        /// The next append throws this and stores nothing.
        case refuse(StoreError)
        /// The next append throws `unknownOutcome`.
        case unknownOutcome(Arrival)
        /// The next `openWriter` throws this; `taken`: after it has taken the replica.
        case refuseOpen(StoreError, taken: Bool)
    }

    /// When a commit whose answer was lost reaches the server.
    public enum Arrival: Hashable, Sendable {
        case atOnce
        /// By `SharedMemoryDatabase.lateCommitsArrive`.
        case later
        case never
    }

    public let database: SharedMemoryDatabase
    private let locked: Mutex<Way>

    private struct Way: Sendable {
        /// Tells this process's epochs from others'.
        var holder: Int64
        var outage: StoreError?
        /// The first batch that is sent while nothing gets through has no answer.
        var losesRequest = false
        var injected: [Fault] = []

        mutating func check() throws(StoreError) {
            if let outage { throw outage }
        }

        mutating func take(where isMeant: (Fault) -> Bool) -> Fault? {
            guard let index = injected.firstIndex(where: isMeant) else { return nil }
            return injected.remove(at: index)
        }
    }

    /// - Parameter holder: another number for each process.
    public init(_ database: SharedMemoryDatabase, holder: Int64) {
        self.database = database
        locked = Mutex(Way(holder: holder))
    }

    public var summary: String { "memory, shared" }

    public func openWriter(_ start: WriterStart) throws(StoreError) -> (writer: any StoreWriter, recovered: Recovered) {
        let (holder, fault) = try locked.withLock { way throws(StoreError) in
            try way.check()
            let fault = way.take { if case .refuseOpen = $0 { true } else { false } }
            if case .refuseOpen(let error, taken: false)? = fault { throw error }
            return (way.holder, fault)
        }
        let (epoch, connection, recovered) = try database.withState { state throws(StoreError) in
            let (replica, renewal) = try state.takeReplicaOrRollBack(start, holder: holder)
            if case .refuseOpen(let error, taken: true)? = fault { throw error }
            state.connections += 1
            let recovered = state.recovered(replica, renewal: renewal, attendanceLimit: start.attendanceLimit)
            return (state.rows[replica]?.epoch ?? 0, state.connections, recovered)
        }
        let writer = SharedMemoryWriter(
            self, epoch: epoch, connection: connection, recovered, attendanceLimit: start.attendanceLimit)
        return (writer, recovered)
    }

    public func openReader() throws(StoreError) -> any StoreReader {
        try locked.withLock { way throws(StoreError) in try way.check() }
        return MemoryReader(self)
    }

    // MARK: What goes wrong

    /// What uses the store from here on is another process.
    public func startProcess(holder: Int64) {
        locked.withLock {
            $0.holder = holder
            $0.injected = []
        }
    }

    /// Makes one thing go wrong; faults of one operation happen in the order in which they were injected.
    public func inject(_ fault: Fault) { locked.withLock { $0.injected.append(fault) } }

    /// What was injected and has not happened yet does not happen.
    public func forgetFaults() { locked.withLock { $0.injected = [] } }

    /// Until it is called with nil, every operation throws `error`.
    ///
    /// - Parameter losesRequest: the first batch that is sent meanwhile throws `unknownOutcome`: it does not get there, but
    ///   the connection was not seen to end.
    public func setOutage(_ error: StoreError?, losesRequest: Bool = false) {
        locked.withLock {
            $0.outage = error
            $0.losesRequest = losesRequest
        }
    }

    // MARK: For the writer and the readers

    /// What becomes of the batch that is sent now.
    fileprivate func send() throws(StoreError) -> Arrival? {
        try locked.withLock { way throws(StoreError) in
            if way.losesRequest {
                way.losesRequest = false
                throw .unknownOutcome("no answer in time")
            }
            try way.check()
            switch way.take(where: { if case .refuseOpen = $0 { false } else { true } }) {
            case .refuse(let error)?: throw error
            case .unknownOutcome(let arrival)?: return arrival
            case .refuseOpen?, nil: return nil
            }
        }
    }

    fileprivate func check() throws(StoreError) { try locked.withLock { way throws(StoreError) in try way.check() } }

    func read<R: Sendable>(
        _ body: (borrowing MemoryContents) throws(StoreError) -> sending R
    ) throws(StoreError) -> R {
        try check()
        return try database.withState { state throws(StoreError) in try body(state.contents) }
    }

    func heads() throws(StoreError) -> StoreHeads? {
        try check()
        return try database.withState { state throws(StoreError) in state.heads() }
    }
}

private final class SharedMemoryWriter: StoreWriter {
    private let store: SharedMemoryStore
    private let replica: ReplicaID
    private let epoch: Int64
    private let connection: UInt64
    private let attendanceLimit: Int
    /// What it knows to be there, as the last opening or batch said.
    private var vector: VersionVector
    private var stage = SnapshotStage()
    private var isSpent = false

    init(
        _ store: SharedMemoryStore, epoch: Int64, connection: UInt64, _ recovered: Recovered, attendanceLimit: Int
    ) {
        self.store = store
        replica = recovered.replica
        self.epoch = epoch
        self.connection = connection
        self.attendanceLimit = attendanceLimit
        vector = recovered.vector
    }

    private var transaction: SharedMemoryTransaction {
        SharedMemoryTransaction(replica: replica, epoch: epoch, head: vector[replica])
    }

    func append(_ batch: Batch) throws(StoreError) {
        try once { () throws(StoreError) in
            let next = try BatchRules.check(batch, after: vector)
            let transaction = transaction
            let lost = try store.send()
            try onConnection { state throws(StoreError) in
                switch lost {
                case nil: try transaction.run(batch, on: &state)
                case .atOnce?: try? transaction.run(batch, on: &state)
                case .later?: state.late.append(.init(writer: transaction, batch: batch))
                case .never?: break
                }
            }
            if lost != nil { throw .unknownOutcome("injected") }
            vector = next
        }
    }

    func prune(_ pruning: Pruning) throws(StoreError) -> Pruned {
        try once { () throws(StoreError) in
            try store.check()
            let transaction = transaction
            return try onConnection { state throws(StoreError) in
                try transaction.guarded(&state)
                return state.contents.prune(pruning)
            }
        }
    }

    func stage(_ chunk: SnapshotChunk) throws(StoreError) { try once { stage.take(chunk) } }

    func discardStage() throws(StoreError) { try once { stage = SnapshotStage() } }

    func install(_ final: SnapshotChunk, have: VersionVector) throws(StoreError) -> Recovered {
        try once { () throws(StoreError) in
            try store.check()
            let (transaction, replica, limit, staged) = (transaction, replica, attendanceLimit, stage)
            let recovered = try onConnection { state throws(StoreError) in
                try transaction.guarded(&state)
                try state.contents.install(staged, final, have: have)
                for dot in state.contents.vector.components where state.rows[dot.replica] == nil {
                    state.rows[dot.replica] = SharedMemoryDatabase.Row()
                }
                return state.recovered(replica, renewal: nil, attendanceLimit: limit)
            }
            stage = SnapshotStage()
            vector = recovered.vector
            return recovered
        }
    }

    func reload(_ final: SnapshotChunk) throws(StoreError) -> Recovered {
        throw .failed("a shared database can't be taken over from a peer as a whole")
    }

    func close() { isSpent = true }

    // MARK: Parts

    private func onConnection<R: Sendable>(
        _ body: (inout SharedMemoryDatabase.State) throws(StoreError) -> sending R
    ) throws(StoreError) -> R {
        let connection = connection
        return try store.database.withState { state throws(StoreError) in
            guard connection > state.ended else { throw .unreachable("the connection was lost") }
            return try body(&state)
        }
    }

    /// After an error the writer must not go on.
    private func once<R>(_ body: () throws(StoreError) -> R) throws(StoreError) -> R {
        if isSpent { throw .failed("the writer ended with an error before, or was closed") }
        do throws(StoreError) {
            return try body()
        } catch {
            isSpent = true
            throw error
        }
    }
}

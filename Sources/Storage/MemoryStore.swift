// A store in memory: for tests, simulation, and nodes that need nothing kept.
//
// Invariant: it behaves as a store on a disk would, also when things go wrong: a commit can be refused, lost in a crash
// of the machine, or have an outcome that its caller never learns. What goes wrong is said explicitly, by `inject`.

import ConvergeCRDT
import ConvergeWire
import Synchronization

public final class MemoryStore: Store {
    /// Something that goes wrong once.
    public enum Fault: Hashable, Sendable {
        /// The next append throws this and stores nothing.
        case refuse(StoreError)
        /// The next append throws `unknownOutcome`; whether it was stored is told here.
        case unknownOutcome(stored: Bool)
        /// The next `openWriter` throws this.
        case refuseOpen(StoreError)
    }

    private let state: Mutex<State>

    fileprivate struct State: Sendable {
        var contents = MemoryContents()
        var syncsEachCommit: Bool
        /// What a crash of the machine leaves, where not each commit is synced.
        var synced = MemoryContents()
        var identity: StoredIdentity?
        var file: FileIdentity
        /// Counts writers: only the newest may write.
        var epoch: UInt64 = 0
        var faults: [Fault] = []
        var outage: StoreError?
    }

    /// Stands in for inode numbers: no two stores of one process are the same file.
    private static let files = Atomic<UInt64>(0)

    private static func newFile() -> FileIdentity {
        FileIdentity(device: 1, inode: files.add(1, ordering: .relaxed).newValue)
    }

    /// With `sync: .normal`, commits since the last `sync` or `close` are lost by `crash`.
    public init(sync: SyncMode = .full) {
        state = Mutex(State(syncsEachCommit: sync == .full, file: Self.newFile()))
    }

    private init(_ state: State) { self.state = Mutex(state) }

    public var summary: String { "memory" }

    public func openWriter(_ start: WriterStart) throws(StoreError) -> (writer: any StoreWriter, recovered: Recovered) {
        let (epoch, recovered) = try state.withLock { state throws(StoreError) in
            try state.open(start)
        }
        return (MemoryWriter(self, epoch: epoch), recovered)
    }

    public func openReader() throws(StoreError) -> any StoreReader {
        try state.withLock { state throws(StoreError) in try state.checkOutage() }
        return MemoryReader(self)
    }

    // MARK: What goes wrong

    /// Makes one thing go wrong; faults of one operation happen in the order in which they were injected.
    public func inject(_ fault: Fault) { state.withLock { $0.faults.append(fault) } }

    /// Until it is called with nil, every operation throws `error`.
    public func setOutage(_ error: StoreError?) { state.withLock { $0.outage = error } }

    /// All that is committed now survives a crash.
    public func sync() { state.withLock { $0.sync() } }

    /// The machine goes down: commits that were not synced are gone, and the writer with them.
    public func crash() {
        state.withLock { state in
            if !state.syncsEachCommit { state.contents = state.synced }
            state.epoch += 1
        }
    }

    /// A copy of the whole store, as `cp` makes one of a file: the same replica inside, but another file.
    public func copy() -> MemoryStore {
        var copied = state.withLock { $0 }
        copied.file = Self.newFile()
        copied.faults = []
        return MemoryStore(copied)
    }

    // MARK: For the writer and the readers

    fileprivate func append(_ batch: Batch, epoch: UInt64) throws(StoreError) {
        try state.withLock { state throws(StoreError) in try state.append(batch, epoch: epoch) }
    }

    fileprivate func prune(_ pruning: Pruning, epoch: UInt64) throws(StoreError) -> Pruned {
        try state.withLock { state throws(StoreError) in try state.prune(pruning, epoch: epoch) }
    }

    fileprivate func close(epoch: UInt64) {
        state.withLock { state in
            guard state.epoch == epoch else { return }
            state.epoch += 1
            state.sync()
            state.identity?.clean = true
        }
    }

    fileprivate func read<R: Sendable>(_ body: @Sendable (borrowing MemoryContents) -> R) throws(StoreError) -> R {
        try state.withLock { state throws(StoreError) in
            try state.checkOutage()
            return body(state.contents)
        }
    }
}

extension MemoryStore.State {
    func checkOutage() throws(StoreError) {
        if let outage { throw outage }
    }

    mutating func open(_ start: WriterStart) throws(StoreError) -> (epoch: UInt64, recovered: Recovered) {
        try checkOutage()
        for (index, fault) in faults.enumerated() {
            guard case .refuseOpen(let error) = fault else { continue }
            faults.remove(at: index)
            throw error
        }
        let (settled, renewal) = try StoredIdentity.settle(
            identity, at: file, synced: syncsEachCommit, start: start, vector: contents.vector)
        identity = settled
        epoch += 1
        let recovered = Recovered(
            replica: settled.replica, boot: settled.boot, vector: contents.vector,
            headHash: contents.headHash(of: settled.replica),
            clock: contents.clock, documents: contents.documents, renewal: renewal)
        return (epoch, recovered)
    }

    mutating func append(_ batch: Batch, epoch: UInt64) throws(StoreError) {
        try checkOutage()
        guard epoch == self.epoch else { throw .fenced("the store in memory was opened again, closed, or has crashed") }
        // The writer is spent after any error, as the contract has it.
        do throws(StoreError) {
            switch takeAppendFault() {
            case .refuse(let error): throw error
            case .unknownOutcome(let stored):
                if stored { try contents.apply(batch) }
                throw StoreError.unknownOutcome("injected")
            case .refuseOpen, nil: try contents.apply(batch)
            }
        } catch {
            self.epoch += 1
            throw error
        }
    }

    mutating func prune(_ pruning: Pruning, epoch: UInt64) throws(StoreError) -> Pruned {
        try checkOutage()
        guard epoch == self.epoch else { throw .fenced("the store in memory was opened again, closed, or has crashed") }
        return Pruned(dropped: contents.prune(pruning), floors: VersionVector(), hasMore: false)
    }

    private mutating func takeAppendFault() -> MemoryStore.Fault? {
        for (index, fault) in faults.enumerated() {
            if case .refuseOpen = fault { continue }
            return faults.remove(at: index)
        }
        return nil
    }

    mutating func sync() {
        // Kept only where it can be needed: a second reference makes the next commit copy what it touches.
        if !syncsEachCommit { synced = contents }
    }
}

private final class MemoryWriter: StoreWriter {
    private let store: MemoryStore
    private let epoch: UInt64

    init(_ store: MemoryStore, epoch: UInt64) {
        self.store = store
        self.epoch = epoch
    }

    func append(_ batch: Batch) throws(StoreError) { try store.append(batch, epoch: epoch) }

    func prune(_ pruning: Pruning) throws(StoreError) -> Pruned { try store.prune(pruning, epoch: epoch) }

    func close() { store.close(epoch: epoch) }
}

private final class MemoryReader: StoreReader {
    private let store: MemoryStore

    init(_ store: MemoryStore) { self.store = store }

    func history(room: Text, before: Position?, limit: Int) throws(StoreError) -> [Entry] {
        try store.read { $0.history(room: room, before: before, limit: limit) }
    }

    func entries(room: Text, after cursor: VersionVector, limit: Int) throws(StoreError)
        -> (entries: [Entry], through: VersionVector)
    {
        try store.read { ($0.entries(room: room, after: cursor, limit: limit), $0.vector) }
    }

    func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) throws(StoreError) -> [Entry] {
        try store.read { $0.entries(of: replica, from: seq, limit: limit) }
    }

    func positions(of ids: [MessageID]) throws(StoreError) -> [MessageID: Position] {
        try store.read { $0.positions(of: ids) }
    }
}

// A store in memory: for tests, simulation, and nodes that need nothing kept.
//
// Invariant: it behaves as a store on a disk would, also when things go wrong: a commit can be refused, lost in a crash
// of the machine, or have an outcome that its caller never learns. What goes wrong is said explicitly, by `inject`.

import ConvergeCRDT
import ConvergeWire
import Synchronization

public final class MemoryStore: Store, MemorySource {
    /// Something that goes wrong once.
    public enum Fault: Hashable, Sendable {
        /// The next append throws this and stores nothing.
        case refuse(StoreError)
        /// The next append throws `unknownOutcome`; whether it was stored is told here.
        case unknownOutcome(stored: Bool)
        /// The next `openWriter` throws this.
        case refuseOpen(StoreError)
    }

    private let locked: Mutex<State>

    fileprivate struct State: Sendable {
        var contents: MemoryContents
        var syncsEachCommit: Bool
        /// What a crash of the machine leaves, where not each commit is synced; and what has been done since. A second
        /// copy that follows costs less than one that is made at each sync: that would be copied again by the next
        /// commit.
        var synced: MemoryContents
        var unsynced: [Change] = []
        var stage = SnapshotStage()
        let faults: StoreFaults
        var identity: StoredIdentity?
        var file: FileIdentity
        /// Counts writers: only the newest may write.
        var epoch: UInt64 = 0
        var injected: [Fault] = []
        var attendanceLimit = 0
        var outage: StoreError?
        var isFull = false
    }

    /// Something that was committed.
    fileprivate enum Change: Sendable {
        case append(Batch)
        case prune(Pruning)
        case install(SnapshotStage, final: SnapshotChunk, have: VersionVector)
        case reload(SnapshotStage, final: SnapshotChunk)
    }

    /// Stands in for inode numbers: no two stores of one process are the same file.
    private static let files = Atomic<UInt64>(0)

    private static func newFile() -> FileIdentity {
        FileIdentity(device: 1, inode: files.add(1, ordering: .relaxed).newValue)
    }

    /// With `sync: .normal`, commits since the last `sync` or `close` are lost by `crash`.
    public init(sync: SyncMode = .full, planted faults: StoreFaults = StoreFaults()) {
        locked = Mutex(
            State(
                contents: MemoryContents(faults: faults), syncsEachCommit: sync == .full,
                synced: MemoryContents(faults: faults), faults: faults, file: Self.newFile()))
    }

    private init(_ state: State) { locked = Mutex(state) }

    public var summary: String { "memory" }

    public func openWriter(_ start: WriterStart) throws(StoreError) -> (writer: any StoreWriter, recovered: Recovered) {
        let (epoch, recovered) = try locked.withLock { state throws(StoreError) in
            try state.open(start)
        }
        return (MemoryWriter(self, epoch: epoch), recovered)
    }

    public func openReader() throws(StoreError) -> any StoreReader {
        try locked.withLock { state throws(StoreError) in try state.checkOutage() }
        return MemoryReader(self)
    }

    // MARK: What goes wrong

    /// Makes one thing go wrong; faults of one operation happen in the order in which they were injected.
    public func inject(_ fault: Fault) { locked.withLock { $0.injected.append(fault) } }

    /// What was injected and has not happened yet does not happen any more.
    public func forgetFaults() { locked.withLock { $0.injected = [] } }

    /// Until it is called with nil, every operation throws `error`.
    public func setOutage(_ error: StoreError?) { locked.withLock { $0.outage = error } }

    /// Until it is called with false there is no room: nothing is written and no writer is opened, and reads go on.
    public func setFull(_ isFull: Bool) { locked.withLock { $0.isFull = isFull } }

    /// All that is committed now survives a crash. O(what was committed since the last call).
    public func sync() { locked.withLock { $0.sync() } }

    /// The machine goes down: commits that were not synced are gone, and the writer with them.
    public func crash() {
        locked.withLock { state in
            if !state.syncsEachCommit {
                state.contents = state.synced
                state.unsynced = []
            }
            state.stage = SnapshotStage()
            state.epoch += 1
        }
    }

    /// A copy of the whole store, as `cp` makes one of a file: the same replica inside.
    ///
    /// - Parameter keepingFile: the copy can't be told from the original, as on a file system without inode numbers or
    ///   in an image of a machine. Otherwise it is another file, which the next open notices.
    public func copy(keepingFile: Bool = false) -> MemoryStore {
        var copied = locked.withLock { $0 }
        if !keepingFile { copied.file = Self.newFile() }
        copied.injected = []
        copied.stage = SnapshotStage()
        return MemoryStore(copied)
    }

    // MARK: What is in it

    /// All that is committed, sorted. O(n log n).
    public var state: MemoryState { locked.withLock { $0.contents.state } }

    /// The vector of what is committed. O(1).
    public var vector: VersionVector { locked.withLock { $0.contents.vector } }

    /// Up to where each log can't be served entry by entry any more. O(logs).
    public var floors: VersionVector { locked.withLock { $0.contents.floors } }

    /// What history shows in all rooms, by room and position. O(n).
    public var shown: [Entry] { locked.withLock { $0.contents.shown } }

    /// A number for what history shows, the documents and attendance; it depends on nothing else, nor on the order in
    /// which they came, nor on the process. O(1).
    public func fingerprint() -> UInt64 { locked.withLock { $0.contents.fingerprint } }

    // MARK: For the writer and the readers

    fileprivate func write<R: Sendable>(
        epoch: UInt64, _ body: (inout State) throws(StoreError) -> sending R
    ) throws(StoreError) -> R {
        try locked.withLock { state throws(StoreError) in try state.write(epoch: epoch, body) }
    }

    fileprivate func close(epoch: UInt64) {
        locked.withLock { state in
            guard state.epoch == epoch else { return }
            state.epoch += 1
            state.stage = SnapshotStage()
            state.sync()
            state.identity?.clean = true
        }
    }

    func read<R: Sendable>(
        _ body: (borrowing MemoryContents) throws(StoreError) -> sending R
    ) throws(StoreError) -> R {
        try locked.withLock { state throws(StoreError) in
            try state.checkOutage()
            return try body(state.contents)
        }
    }
}

extension MemoryStore.State {
    func checkOutage() throws(StoreError) {
        if let outage { throw outage }
    }

    private func checkRoom() throws(StoreError) {
        if isFull { throw .full("no room") }
    }

    mutating func open(_ start: WriterStart) throws(StoreError) -> (epoch: UInt64, recovered: Recovered) {
        try checkOutage()
        for (index, fault) in injected.enumerated() {
            guard case .refuseOpen(let error) = fault else { continue }
            injected.remove(at: index)
            throw error
        }
        // Opening writes who opens.
        try checkRoom()
        let (chosen, renewal) = try StoredIdentity.choose(
            identity, at: file, synced: syncsEachCommit, start: start, vector: contents.vector)
        identity = chosen
        epoch += 1
        stage = SnapshotStage()
        attendanceLimit = start.attendanceLimit
        return (epoch, contents.recovered(chosen, renewal: renewal, attendanceLimit: attendanceLimit))
    }

    /// The writer is spent after any error, as the contract has it.
    mutating func write<R>(
        epoch: UInt64, _ body: (inout MemoryStore.State) throws(StoreError) -> sending R
    ) throws(StoreError) -> sending R {
        try checkOutage()
        guard epoch == self.epoch else { throw .fenced("the store in memory was opened again, closed, or has crashed") }
        do throws(StoreError) {
            try checkRoom()
            return try body(&self)
        } catch {
            self.epoch += 1
            throw error
        }
    }

    mutating func append(_ batch: Batch) throws(StoreError) {
        switch takeAppendFault() {
        case .refuse(let error): throw error
        case .unknownOutcome(let stored):
            if stored { try commit(.append(batch)) }
            throw .unknownOutcome("injected")
        case .refuseOpen, nil: try commit(.append(batch))
        }
    }

    mutating func stage(_ chunk: SnapshotChunk) {
        if faults.installsByChunk { contents.installEarly(chunk) }
        if faults.dropsChunk && !stage.hasLost { stage.lose() } else { stage.take(chunk) }
    }

    func fork(in final: SnapshotChunk) throws(StoreError) -> Dot? {
        if faults.joinsForks { return nil }
        var staged = stage
        staged.take(final)
        return try SnapshotFork.first(mine: contents.ends, theirs: final.end?.heads ?? []) {
            contents.hash(of: $0)
        } there: {
            staged.entries[$0]?.hash
        }
    }

    mutating func install(_ final: SnapshotChunk, have: VersionVector) throws(StoreError) -> Recovered {
        guard let identity else { throw .failed("the store in memory was never opened") }
        try commit(.install(stage, final: final, have: have))
        stage = SnapshotStage()
        return contents.recovered(identity, renewal: nil, attendanceLimit: attendanceLimit)
    }

    mutating func reload(_ final: SnapshotChunk) throws(StoreError) -> Recovered {
        guard let identity else { throw .failed("the store in memory was never opened") }
        try commit(.reload(stage, final: final))
        stage = SnapshotStage()
        return contents.recovered(identity, renewal: nil, attendanceLimit: attendanceLimit)
    }

    @discardableResult
    mutating func commit(_ change: MemoryStore.Change) throws(StoreError) -> Pruned? {
        let pruned = try contents.commit(change)
        if !syncsEachCommit { unsynced.append(change) }
        return pruned
    }

    private mutating func takeAppendFault() -> MemoryStore.Fault? {
        for (index, fault) in injected.enumerated() {
            if case .refuseOpen = fault { continue }
            return injected.remove(at: index)
        }
        return nil
    }

    mutating func sync() {
        // What was committed once applies to the same contents again.
        for change in unsynced {
            do throws(StoreError) {
                _ = try synced.commit(change)
            } catch {
                preconditionFailure("a change that was committed can't be synced: \(error.message)")
            }
        }
        unsynced = []
    }
}

extension MemoryContents {
    fileprivate mutating func commit(_ change: MemoryStore.Change) throws(StoreError) -> Pruned? {
        switch change {
        case .append(let batch): try apply(batch)
        case .prune(let pruning): return prune(pruning)
        case .install(let stage, let final, let have): try install(stage, final, have: have)
        case .reload(let stage, let final): try reload(stage, final)
        }
        return nil
    }
}

private final class MemoryWriter: StoreWriter {
    private let store: MemoryStore
    private let epoch: UInt64

    init(_ store: MemoryStore, epoch: UInt64) {
        self.store = store
        self.epoch = epoch
    }

    func append(_ batch: Batch) throws(StoreError) {
        try store.write(epoch: epoch) { (state) throws(StoreError) in try state.append(batch) }
    }

    func prune(_ pruning: Pruning) throws(StoreError) -> Pruned {
        try store.write(epoch: epoch) { (state) throws(StoreError) in
            try state.commit(.prune(pruning)) ?? Pruned(dropped: 0, floors: VersionVector(), hasMore: false)
        }
    }

    func stage(_ chunk: SnapshotChunk) throws(StoreError) {
        try store.write(epoch: epoch) { (state) throws(StoreError) in state.stage(chunk) }
    }

    func discardStage() throws(StoreError) {
        try store.write(epoch: epoch) { (state) throws(StoreError) in state.stage = SnapshotStage() }
    }

    func fork(in final: SnapshotChunk) throws(StoreError) -> Dot? {
        try store.write(epoch: epoch) { (state) throws(StoreError) in try state.fork(in: final) }
    }

    func install(_ final: SnapshotChunk, have: VersionVector) throws(StoreError) -> Recovered {
        try store.write(epoch: epoch) { (state) throws(StoreError) in try state.install(final, have: have) }
    }

    func reload(_ final: SnapshotChunk) throws(StoreError) -> Recovered {
        try store.write(epoch: epoch) { (state) throws(StoreError) in try state.reload(final) }
    }

    func close() { store.close(epoch: epoch) }
}

import ConvergeCRDT
import ConvergeWire
import Synchronization

// A database in memory that several nodes write at once: PostgreSQL's transactions (PostgresBatch, PostgresIdentity,
// PostgresWriter) without PostgreSQL, for tests and the simulation.
//
// Invariant: what a transaction there checks under a lock is checked here, in one step, and nothing more: a row a replica
// with its epoch and its holder, the log's head, what a batch depends on. So what the checks let through there, they let
// through here. Two transactions at once come one after the other, as locks in one order make them; that the server rolls
// one back to run it again is left out.

public final class SharedMemoryDatabase: Sendable {
    private let locked: Mutex<State>

    struct State: Sendable {
        var contents: MemoryContents
        var rows: [ReplicaID: Row] = [:]
        /// Connections made before this many were ended are no good.
        var ended: UInt64 = 0
        var connections: UInt64 = 0
        /// Commits whose connection is gone, and which have not reached the server yet.
        var late: [LateCommit] = []
        let faults: StoreFaults

        init(_ faults: StoreFaults) {
            self.faults = faults
            contents = MemoryContents(faults: faults)
        }
    }

    /// What the row of a replica says beside the log's end.
    struct Row: Sendable {
        var name: Text?
        var holder: Int64 = 0
        var epoch: Int64 = 0
        var boot: UInt64 = 0
        var beat: Int64 = 0
    }

    struct LateCommit: Sendable {
        let writer: SharedMemoryTransaction
        let batch: Batch
    }

    /// What a standby has, which may come to take the database's place.
    public struct Standby: Sendable {
        fileprivate let contents: MemoryContents
        fileprivate let rows: [ReplicaID: Row]
        public var vector: VersionVector { contents.vector }
    }

    public init(planted faults: StoreFaults = StoreFaults()) { locked = Mutex(State(faults)) }

    func withState<R: Sendable>(_ body: (inout State) throws(StoreError) -> sending R) throws(StoreError) -> R {
        try locked.withLock { state throws(StoreError) in try body(&state) }
    }

    // MARK: What goes wrong

    /// All connections that there are end.
    public func endConnections() { locked.withLock { $0.ended = $0.connections } }

    /// What a standby has now. O(1); the next commit copies.
    public func standby() -> Standby { locked.withLock { Standby(contents: $0.contents, rows: $0.rows) } }

    /// The standby takes the database's place: commits since then are gone.
    ///
    /// - Parameter unnoticed: connections go on, as behind a pooler.
    public func failOver(to standby: Standby, unnoticed: Bool) {
        locked.withLock { state in
            state.contents = standby.contents
            state.rows = standby.rows
            state.late = []
            if !unnoticed { state.ended = state.connections }
        }
    }

    /// Commits that were on their way when their connection broke reach the server now, and are refused where their writer
    /// has opened anew. Returns the entries that got in.
    public func lateCommitsArrive() -> [Entry] {
        locked.withLock { state in
            let late = state.late
            state.late = []
            return late.flatMap { commit -> [Entry] in
                let before = state.contents.vector
                guard (try? commit.writer.run(commit.batch, on: &state)) != nil else { return [] }
                return commit.batch.entries.filter { !before.covers($0.dot) }
            }
        }
    }

    // MARK: What is in it

    /// All that is committed, sorted. O(n log n).
    public var state: MemoryState { locked.withLock { $0.contents.state } }
    public var vector: VersionVector { locked.withLock { $0.contents.vector } }
    public var floors: VersionVector { locked.withLock { $0.contents.floors } }
    /// See `MemoryStore.shown`.
    public var shown: [Entry] { locked.withLock { $0.contents.shown } }
    /// See `MemoryStore.fingerprint`.
    public func fingerprint() -> UInt64 { locked.withLock { $0.contents.fingerprint } }
}

extension SharedMemoryDatabase.State {
    func heads() -> StoreHeads {
        let beats = rows.filter { $0.value.beat > 0 }.map { StoreHeads.Beat(replica: $0.key, count: $0.value.beat) }
        return StoreHeads(
            ends: contents.ends, floors: contents.floors, beats: beats.sorted { $0.replica < $1.replica })
    }

    // MARK: Identity, as PostgresIdentity has it

    /// Takes the node's replica, or a fresh one where the old must not be gone on with.
    mutating func takeReplicaOrRollBack(
        _ start: WriterStart, holder: Int64
    ) throws(StoreError) -> (replica: ReplicaID, renewal: RenewalReason?) {
        let before = rows
        do throws(StoreError) {
            return try takeReplica(start, holder: holder)
        } catch {
            rows = before
            throw error
        }
    }

    private mutating func takeReplica(
        _ start: WriterStart, holder: Int64
    ) throws(StoreError) -> (replica: ReplicaID, renewal: RenewalReason?) {
        if let held = start.held {
            if let row = rows[held.replica], row.holder != holder {
                return try takeFresh(start, holder, .fenced, givingUp: held.replica)
            }
            if start.renew { return try takeFresh(start, holder, start.reasonToRenew, givingUp: held.replica) }
            let hasAll = contents.vector.covers(held.vector)
            guard rows[held.replica] != nil, contents.vector[held.replica] >= held.committed, hasAll else {
                return try takeFresh(start, holder, .behind, givingUp: held.replica)
            }
            take(held.replica, holder, newBoot: false)
            return (held.replica, nil)
        }
        guard let named = rows.first(where: { $0.value.name == Text(start.nodeName) })?.key else {
            return try takeFresh(start, holder, nil, givingUp: nil)
        }
        if start.renew { return try takeFresh(start, holder, start.reasonToRenew, givingUp: named) }
        take(named, holder, newBoot: true)
        return (named, nil)
    }

    private mutating func take(_ replica: ReplicaID, _ holder: Int64, newBoot: Bool) {
        rows[replica]!.epoch += 1
        rows[replica]!.holder = holder
        if newBoot { rows[replica]!.boot += 1 }
    }

    private mutating func takeFresh(
        _ start: WriterStart, _ holder: Int64, _ renewal: RenewalReason?, givingUp old: ReplicaID?
    ) throws(StoreError) -> (replica: ReplicaID, renewal: RenewalReason?) {
        let fresh = start.freshReplica
        let name = Text(start.nodeName)
        if renewal != nil, renewal != .fenced, let old {
            for (replica, row) in rows where row.name == name && (row.holder == holder || replica == old) {
                rows[replica]!.name = nil
            }
        }
        if let row = rows[fresh] {
            guard fresh != old, row.holder == holder, contents.vector[fresh] == 0 else {
                throw .failed("the replica \(fresh) has been used before: each open needs a random one")
            }
            rows[fresh]!.epoch += 1
        } else {
            let isTaken = rows.values.contains { $0.name == name }
            rows[fresh] = SharedMemoryDatabase.Row(
                name: isTaken ? Text("\(start.nodeName)#\(fresh)") : name, holder: holder, epoch: 1, boot: 1)
        }
        return (fresh, renewal)
    }

    func recovered(_ replica: ReplicaID, renewal: RenewalReason?, attendanceLimit: Int) -> Recovered {
        var recovered = contents.recovered(
            replica, boot: rows[replica]?.boot ?? 1, renewal: renewal, attendanceLimit: attendanceLimit)
        recovered.isShared = true
        recovered.canReload = false
        recovered.members.removeAll { $0.replica == replica }
        return recovered
    }
}

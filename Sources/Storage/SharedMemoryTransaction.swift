import ConvergeCRDT
import ConvergeWire

// One batch as a transaction on a shared database in memory: what PostgresWriter.store and PostgresBatch do in statements.
//
// Invariants: as there. Entries take effect only under the epoch and behind the head that are named here, and where the
// database has what they depend on; an entry that is there already is left alone, with all that followed from it.

struct SharedMemoryTransaction: Sendable {
    let replica: ReplicaID
    let epoch: Int64
    /// The own log's last seq.
    let head: UInt64

    /// All of it, or an error and nothing.
    func run(_ batch: Batch, on state: inout SharedMemoryDatabase.State) throws(StoreError) {
        let foreign = batch.entries.filter { $0.dot.replica != replica }
        for entry in foreign { try checkFork(entry, state.contents) }
        let known = state.contents.vector
        func isNew(_ dot: Dot) -> Bool { dot.replica == replica || !known.covers(dot) }
        let fresh = foreign.isEmpty ? batch.entries : batch.entries.filter { isNew($0.dot) }
        let isThere = !foreign.isEmpty && fresh.isEmpty
        let effects =
            state.faults.repeatsEffects
            ? batch.effects : batch.effects.compactMap { $0.counting(isNew: isNew, withErasures: !isThere) }
        // Nothing is written, so nothing is checked, and nobody sees the writer live.
        if isThere, effects.isEmpty { return }

        let before = state.rows
        try guarded(&state, after: dependencies(of: fresh, batch))
        for entry in fresh where state.rows[entry.dot.replica] == nil {
            state.rows[entry.dot.replica] = SharedMemoryDatabase.Row()
        }
        do throws(StoreError) {
            try state.contents.apply(Batch(entries: fresh, effects: effects))
        } catch {
            state.rows = before
            throw error
        }
    }

    /// Checks epoch, head and dependencies, and shows that the writer lives.
    func guarded(
        _ state: inout SharedMemoryDatabase.State, after dependencies: VersionVector = VersionVector()
    ) throws(StoreError) {
        guard state.rows[replica]?.epoch == epoch || state.faults.ignoresEpoch else {
            throw .fenced("the replica's row has another epoch")
        }
        guard state.contents.vector[replica] == head, state.contents.vector.covers(dependencies) else {
            throw .failed("the database's log does not end where this node's does, or lacks what the batch depends on")
        }
        state.rows[replica]?.beat += 1
    }

    private func checkFork(_ entry: Entry, _ contents: MemoryContents) throws(StoreError) {
        guard contents.vector.covers(entry.dot), let hash = contents.hash(of: entry.dot), hash != entry.hash else {
            return
        }
        throw .failed("entry \(entry.dot.seq) of \(entry.dot.replica) is another one in the database")
    }

    /// What the entries depend on and the batch itself does not have.
    private func dependencies(of entries: [Entry], _ batch: Batch) -> VersionVector {
        var firsts = VersionVector()
        for entry in batch.entries where firsts[entry.dot.replica] == 0 { firsts.advance(to: entry.dot) }
        var outer = VersionVector()
        for entry in entries {
            for dot in entry.dependencies where firsts[dot.replica] == 0 || dot.seq < firsts[dot.replica] {
                outer.advance(to: dot)
            }
        }
        return outer
    }
}

extension StoreEffect {
    /// What is carried out of it, where some of a batch's entries may be in the database: as `PostgresEffects` has it.
    fileprivate func counting(isNew: (Dot) -> Bool, withErasures: Bool) -> StoreEffect? {
        let counts =
            switch self {
            case .key(_, let position): isNew(position.dot)
            case .hide(let dot): isNew(dot)
            case .cells(let change):
                change.touched.isEmpty ? withErasures : change.touched.contains(where: isNew)
            case .attendance(let record): isNew(record.position.dot)
            case .redact: withErasures
            case .remember, .forget: true
            }
        return counts ? self : nil
    }
}

import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// A store that other nodes write, too: what they have put there comes like a peer's entries.
///
/// It rests on this: each node writes its own log there before it tells anybody of it. So an entry that a peer pushed is
/// there, or comes from a node with a store of its own; which of the two the store finds out (`PostgresWriter`), and it
/// says "committed" only of what is durable there. The core knows no difference, and needs to know of no peer whether it
/// shares the store.
extension NodeCore {
    /// This node and those of the others that are known to live, by links or by the store, sorted.
    var liveReplicas: [ReplicaID] {
        let linked = options.cluster == nil ? log.map { [$0.replica] } ?? [] : membership.live
        let writing = shared.live.filter { !linked.contains($0) }
        return writing.isEmpty ? linked : (linked + writing).sorted()
    }

    /// Whether a peer may know the own log this far from the store, where the word that it is stored has not come here yet.
    func isOnItsWay(_ seq: UInt64) -> Bool {
        guard shared.isShared, let log, seq > log.committedSeq else { return false }
        return pipeline.carries(Dot(replica: log.replica, seq: seq))
    }

    /// Milliseconds that may pass between two ticks.
    var longestTick: UInt64 {
        if readsAhead.count > 0 || keyed.aheadCount > 0 { return SharedStore.pace.urgent }
        return shared.isShared ? SharedStore.pace.busy : 5_000
    }

    mutating func lookIntoSharedStore(into effects: inout [CoreEffect]) {
        guard store == .ready, stage != .finished, shared.look(at: monotonic, position: position) else { return }
        effects.append(.read(.heads))
    }

    mutating func headsRead(
        _ heads: Result<StoreHeads?, StoreError>, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        let heads = (try? heads.get()) ?? nil
        let (isOlder, someLost) = shared.answered(heads, applied: replicator.applied, at: monotonic)
        if let wall = heads?.wall { skews.note(.sharedStore, wall: wall, at: monotonic) }
        guard let heads, store == .ready, !renewing else { return }
        if isOlder {
            shared.wantsReading = true
            return
        }
        if someLost { attendance.touchAbandoned(live: liveReplicas, at: monotonic) }
        replicate(.sharedStore(ends: heads.ends, floors: heads.floors), at: now, into: &effects)
    }

    /// What the replicator has for the store as its peer.
    mutating func askSharedStore(_ frame: PeerFrame, into effects: inout [CoreEffect]) {
        switch frame {
        case .want(let want):
            effects.append(
                .read(.shared(number: want.number, want.ranges, bytes: Int(min(want.limit, UInt64(Int32.max))))))
        case .snapshotWant:
            shared.wantsReading = true
        default:
            break
        }
    }

    mutating func sharedRead(
        _ number: UInt64, _ read: Result<RangeRead, StoreError>, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        let range: EntriesRange
        switch read {
        case .failure: range = EntriesRange(number: number, status: .unavailable, entries: [])
        case .success(let read) where read.belowFloor:
            range = EntriesRange(number: number, status: .belowFloor, entries: [])
        case .success(let read):
            range = EntriesRange(number: number, status: read.isComplete ? .complete : .more, entries: read.entries)
        }
        replicate(.sharedStoreRead(range), at: now, into: &effects)
    }

    /// Work that a shared store makes for the idle writer; false where there is none.
    mutating func keepUpWithSharedStore(at now: UInt64, into effects: inout [CoreEffect]) -> Bool {
        if shared.wantsReading {
            // Opening reads all of it, and decides whether the identity may go on.
            shared.wantsReading = false
            fail(pipeline.takeOpen(), at: now)
            rollBack(at: now, into: &effects)
            store = .unavailable(failures: 0)
            effects.append(.openStore(after: .zero, held: held, renew: false))
            return true
        }
        guard shared.isBeatDue(at: monotonic), stoppedLoops == 0 else { return false }
        let batch = pipeline.beginEmpty()
        effects.append(.commit(batch))
        shared.commits(batch, of: log?.replica, at: monotonic)
        return true
    }
}

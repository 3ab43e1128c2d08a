import ConvergeCRDT
import ConvergeWire

// How every node comes to have every entry of every log.
//
// What a node stores of its own log it pushes at once to every peer it has a link to. What did not arrive that way is
// repaired: peers exchange digests of what they have, and who sees that another has more asks it for the missing ranges,
// of any log, in one causal order. Below a log's floor there are no entries to ask for any more: then the state comes as a
// snapshot.
//
// Invariants:
// - An entry is applied when it is the next of its log and all that it depends on is applied. So what is applied is always
//   a prefix of each log, closed under causality, and the version vector says it all.
// - Each applied entry goes into the batch that is being gathered; if that fails, what is applied goes back to what is
//   stored. Only what is stored is ever told to others.
// - A log is taken only as it chains: an entry whose hash doesn't follow from the one before is of a fork, and is refused.
//   Of two logs under one replica the longer stays, of two as long the one with the higher hash at its end. Who has the
//   other takes over the state of a node that has the one that stays.
// - Nothing is applied that is dated further ahead of the wall clock than is borne (`HeldLogs`).
//
// Demers et al.: "Epidemic Algorithms for Replicated Database Maintenance" (1987); Terry et al.: "Managing Update
// Conflicts in Bayou" (1995), section 3; van Renesse et al.: "Efficient Reconciliation and Flow Control for Anti-Entropy
// Protocols" (2008).

/// The logs of all replicas, as one node has them.
public struct Replicator {
    struct Peer {
        let source: LogSource
        /// What it is known to have: by its digests, and by what it has sent.
        var has = VersionVector()
        var floors = VersionVector()
        /// The replicas that it has a link to.
        var direct: [ReplicaID] = []
        var hasDigest = false
        /// The hash of what it had when it last told.
        var hash: UInt64?
        /// When it was last sent a digest, or a summary; 0: never.
        var digestAt: UInt64 = 0
        var summaryAt: UInt64 = 0
        /// It is to get a digest as soon as that is not too often.
        var owesDigest = true
        /// Pushed bytes, and what it says it has taken of them; then what came from it, and what it was told of that.
        var pushed: UInt64 = 0
        var taken: UInt64 = 0
        var paused = false
        var received: UInt64 = 0
        var told: UInt64 = 0
        var wantsStored = false
        /// The want that is being read for it, and its ticket.
        var serving: (ticket: UInt64, number: UInt64)?
        var servingSnapshot: (ticket: UInt64, number: UInt64, reached: VersionVector)?
        /// Where its copy of a log was found to part from the one here.
        var forked: [Fork] = []
        /// Until when it isn't asked: it could not answer.
        var restsUntil: UInt64 = 0
        /// Until when it isn't asked for a snapshot; how many of it were dated too far ahead, and how many told of another log.
        var snapshotRestsUntil: UInt64 = 0
        var heldSnapshots = 0
        var partedSnapshots = 0

        /// The node's replica; nil for the store that is shared.
        var replica: ReplicaID? { source.node }

        func isForked(_ replica: ReplicaID) -> Bool { forked.contains { $0.dot.replica == replica } }
    }

    struct Fork {
        let dot: Dot
        /// The first half of the hash there, where the two copies are as long; 0 where the one here is shorter.
        let hash: UInt64
    }

    /// The one want that is on its way.
    struct Pull {
        let peer: LogSource
        let number: UInt64
        let ranges: [LogRange]
        let deadline: UInt64
    }

    struct Lag {
        let applied: UInt64
        let since: UInt64
    }

    struct HeldBack {
        let eager: LogSource?
    }

    let options: ReplicatorOptions
    /// The hash of an entry whose predecessor has this one.
    private let chain: (EntryHash, Entry) -> EntryHash

    /// This node's; nil until the store has been opened.
    public private(set) var replica: ReplicaID?
    /// What is durable here.
    public private(set) var stored = VersionVector()
    /// What is stored, or in a batch.
    public private(set) var applied = VersionVector()
    public internal(set) var floors = VersionVector()
    private var storedHashes: [ReplicaID: EntryHash] = [:]
    private var appliedHashes: [ReplicaID: EntryHash] = [:]
    private(set) var unstoredBytes = 0
    /// Set while a snapshot is being installed: nothing foreign is applied.
    var isInstalling = false
    var isStarted: Bool { replica != nil }
    /// The store takes batches: after a failure not until it is opened anew.
    var isOpen = false

    /// Sorted by source.
    var peers: [Peer] = []
    var waiting: WaitingRoom
    var held = HeldLogs()
    /// Wall time as of the event that is being handled, in milliseconds.
    private(set) var wall: UInt64 = 0
    var pull: Pull?
    var snapshot: SnapshotReceiver?
    /// A peer's state has taken the place of what was here, and the store is being opened.
    private var hasReloaded = false
    /// What was here when the store had been opened after that, the last time.
    private var reloadedAt = VersionVector()
    /// Planted: what overflowed and is not asked for again.
    var forgotten = VersionVector()
    /// How far each log came in answers to wants. Peers learn of that from digests, and it is not passed on to them.
    var repaired = VersionVector()
    var lastNumber: UInt64 = 0
    var lastTicket: UInt64 = 0
    /// Each log of which a peer has more than is applied here: how far it was, and since when that has not moved.
    var lagging: [ReplicaID: Lag] = [:]
    /// Nothing was asked for because too much was unstored: that is made up for when the store has answered.
    var heldBack: HeldBack?
    /// The digest's parts that others own; set before a tick.
    public var presence: [PresenceVersion] = []
    /// The store can take over a peer's state in the place of its own; otherwise forks are refused and told, and stay.
    public var mendsForks = true
    public internal(set) var counters = ReplicatorCounters()

    public init(options: ReplicatorOptions = ReplicatorOptions(), chain: @escaping (EntryHash, Entry) -> EntryHash) {
        self.options = options
        self.chain = chain
        waiting = WaitingRoom(limit: options.waitingEntries, byteLimit: options.waitingBytes)
    }

    public mutating func handle(
        _ event: ReplicatorEvent, at now: UInt64, wall: UInt64, into effects: inout [ReplicatorEffect]
    ) {
        self.wall = wall
        switch event {
        case .started(let replica, let vector, let ends, let floors):
            self.replica = replica
            isOpen = true
            if hasReloaded { reloadedAt = vector }
            hasReloaded = false
            take(vector, ends, floors)
            if snapshot != nil { abandonSnapshot(into: &effects) }
            isInstalling = false
            for at in peers.indices {
                peers[at].owesDigest = true
                peers[at].forked = []
            }
        case .stored(let entries, let wantsStored):
            stored(entries, wantsStored: wantsStored, into: &effects)
            applyWaiting(at: now, into: &effects)
            if let heldBack { repair(at: now, into: &effects, eager: heldBack.eager) }
        case .failed(let kept):
            failed(kept)
        case .linked(let peer):
            link(peer, at: now, wall: wall, into: &effects)
        case .unlinked(let peer):
            unlink(peer, into: &effects)
        case .frame(let peer, let frame):
            handle(frame, from: .node(peer), at: now, wall: wall, into: &effects)
        case .rangeRead(let ticket, let answer):
            serve(ticket, answer, into: &effects)
        case .snapshotRead(let ticket, let chunk):
            serveSnapshot(ticket, chunk, into: &effects)
        case .staged:
            continueSnapshot(at: now, into: &effects)
        case .installed(let vector, let ends, let floors):
            isInstalling = false
            snapshot = nil
            counters.snapshotsInstalled += 1
            take(vector, ends, floors)
            for at in peers.indices { peers[at].owesDigest = true }
            applyWaiting(at: now, into: &effects)
        case .snapshotParted(let dot):
            snapshotParted(at: dot, at: now, into: &effects)
        case .reloaded:
            isInstalling = false
            snapshot = nil
            counters.reloads += 1
            hasReloaded = true
            waiting.removeAll()
        case .floorsRose(let floors):
            self.floors.merge(floors)
        case .sharedStore(let ends, let floors):
            sharedStoreHas(ends, floors, at: now, into: &effects)
        case .sharedStoreRead(let range):
            handle(.range(range), from: .sharedStore, at: now, wall: wall, into: &effects)
        case .tick:
            tick(at: now, wall: wall, into: &effects)
        }
        counters.waiting = waiting.count
        counters.overflowed = waiting.overflowed
        counters.expired = waiting.expired
    }

    private mutating func take(_ vector: VersionVector, _ ends: [LogEnd], _ floors: VersionVector) {
        stored = vector
        applied = vector
        self.floors = floors
        storedHashes = [:]
        for end in ends { storedHashes[end.dot.replica] = end.hash }
        appliedHashes = storedHashes
        unstoredBytes = 0
        waiting.drop(coveredBy: applied)
        held.drop(coveredBy: applied)
    }

    /// Whether pieces of a snapshot that were read at `reached` may be of the state whose place another has taken here since, or
    /// is taking now: no piece of the new one goes with them, for under one number the two may have different entries.
    func hasReloaded(since reached: VersionVector) -> Bool {
        if reached.isEmpty { return false }
        return hasReloaded || isInstalling && snapshot?.isReload ?? false || !reached.covers(reloadedAt)
    }

    // MARK: Applying

    /// An own entry has been placed: it is applied, being the next of its log and behind all that is applied.
    public mutating func place(_ entry: Entry) {
        applied.advance(to: entry.dot)
        appliedHashes[entry.dot.replica] = entry.hash
    }

    /// What came from a peer: applied if it can be, else it waits.
    mutating func receive(
        _ entries: [Entry], from peer: LogSource, at now: UInt64, into effects: inout [ReplicatorEffect]
    ) {
        var news = false
        for entry in entries {
            guard entry.dot.seq > 0, entry.dot.seq <= UInt64(Int64.max),
                entry.timestamp.rawValue <= UInt64(Int64.max)
            else {
                effects.append(.violation(peer))
                return
            }
            if applied.covers(entry.dot) {
                counters.repeats += 1
                continue
            }
            if holdsAside(entry, at: now, into: &effects) { continue }
            if canApply(entry) {
                apply(entry, from: peer, into: &effects)
                news = true
            } else {
                counters.waited += 1
                if !waiting.insert(entry, at: now), options.planted.has(.overflowForgotten) {
                    forgotten.advance(to: entry.dot)
                }
            }
        }
        if news { applyWaiting(at: now, into: &effects) }
    }

    private func canApply(_ entry: Entry) -> Bool {
        guard !isInstalling, isOpen, unstoredBytes < options.unstoredBytes, entry.dot.replica != replica,
            entry.dot.seq == applied[entry.dot.replica] + 1
        else { return false }
        return options.planted.has(.deliveryWithoutDependencies) || entry.dependencies.allSatisfy(applied.covers)
    }

    private mutating func apply(_ entry: Entry, from peer: LogSource?, into effects: inout [ReplicatorEffect]) {
        let origin = entry.dot.replica
        guard chain(appliedHashes[origin] ?? .zero, entry) == entry.hash else {
            counters.forks += 1
            if let peer, let at = index(of: peer), !peers[at].isForked(origin) {
                peers[at].forked.append(Fork(dot: entry.dot, hash: 0))
            }
            effects.append(.forked(origin, seq: entry.dot.seq, by: peer ?? .node(origin)))
            return
        }
        applied.advance(to: entry.dot)
        appliedHashes[origin] = entry.hash
        unstoredBytes += entry.waitingBytes
        counters.applied += 1
        held.drop(coveredBy: applied)
        effects.append(.apply(entry))
    }

    /// Applies what waits and can be applied now, until nothing more can.
    mutating func applyWaiting(at now: UInt64, into effects: inout [ReplicatorEffect]) {
        guard !waiting.isEmpty else { return }
        waiting.drop(coveredBy: applied)
        var progress = true
        while progress {
            progress = false
            for origin in waiting.replicas {
                while let entry = waiting.first(of: origin), canApply(entry) {
                    waiting.removeFirst(of: origin)
                    // The wall clock may have been set back since it came.
                    if holdsAside(entry, at: now, into: &effects) { break }
                    let before = applied[origin]
                    apply(entry, from: nil, into: &effects)
                    if applied[origin] == before { break }
                    progress = true
                }
            }
        }
    }

    // MARK: Storing

    private mutating func stored(_ entries: [Entry], wantsStored: Bool, into effects: inout [ReplicatorEffect]) {
        for entry in entries {
            stored.advance(to: entry.dot)
            storedHashes[entry.dot.replica] = entry.hash
            if entry.dot.replica != replica { unstoredBytes -= entry.waitingBytes }
        }
        unstoredBytes = max(0, unstoredBytes)
        push(entries, wantsStored: wantsStored, into: &effects)
        tellStored(entries, into: &effects)
    }

    private mutating func failed(_ kept: [Entry]) {
        isOpen = false
        applied = stored
        appliedHashes = storedHashes
        unstoredBytes = 0
        for entry in kept {
            applied.advance(to: entry.dot)
            appliedHashes[entry.dot.replica] = entry.hash
            if entry.dot.replica != replica { unstoredBytes += entry.waitingBytes }
        }
        // What was applied and is not any more is asked for again.
        pull = nil
    }

    /// Whether more may be asked for before what is applied is stored.
    var unstoredHasRoom: Bool { unstoredBytes < options.unstoredBytes / 2 }

    /// Whether entries of other logs are in a batch that is not stored.
    public var hasUnstoredForeign: Bool { unstoredBytes > 0 }

    // MARK: Peers

    func index(of peer: LogSource) -> Int? {
        let at = peers.firstIndex { $0.source >= peer } ?? peers.count
        return at < peers.count && peers[at].source == peer ? at : nil
    }

    private mutating func link(
        _ replica: ReplicaID, at now: UInt64, wall: UInt64, into effects: inout [ReplicatorEffect]
    ) {
        let peer = LogSource.node(replica)
        if let at = index(of: peer) { peers.remove(at: at) }
        tellLinks()
        let at = peers.firstIndex { $0.source > peer } ?? peers.count
        peers.insert(Peer(source: peer), at: at)
        if pull?.peer == peer { pull = nil }
        if isStarted { sendDigest(to: at, at: now, wall: wall, into: &effects) }
    }

    private mutating func unlink(_ replica: ReplicaID, into effects: inout [ReplicatorEffect]) {
        let peer = LogSource.node(replica)
        guard let at = index(of: peer) else { return }
        peers.remove(at: at)
        tellLinks()
        if pull?.peer == peer { pull = nil }
        lagging[replica] = nil
        snapshot?.serverLeft(peer)
    }

    /// Whom we have a link to has changed: the peers have to know what they need not pass on to us any more, or have to.
    private mutating func tellLinks() {
        for at in peers.indices { peers[at].owesDigest = true }
    }

    /// The replicas that we have a link to, sorted.
    var direct: [ReplicaID] { peers.compactMap(\.replica) }

    /// What every linked peer is known to have stored; nil where one of `voters` has no link or has not told yet.
    public func stored(byAll voters: [ReplicaID]) -> VersionVector? {
        var least = stored
        for voter in voters where voter != replica {
            guard let at = index(of: .node(voter)), peers[at].hasDigest else { return nil }
            var common = VersionVector()
            for dot in least.components {
                guard !peers[at].isForked(dot.replica) else { continue }
                common.advance(to: Dot(replica: dot.replica, seq: min(dot.seq, peers[at].has[dot.replica])))
            }
            least = common
        }
        return least
    }

    func hash(of replica: ReplicaID) -> EntryHash { storedHashes[replica] ?? .zero }
}

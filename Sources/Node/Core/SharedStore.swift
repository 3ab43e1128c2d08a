import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

/// What a node knows of the others that write into its store.
///
/// It asks how far the logs are, often while others bring news there. And it tells, without a link, who of them lives: a
/// writer commits something every two seconds, be it nothing, so its count moves. One whose count has stood still for so
/// many answers is gone. Answers are counted, not time: while the store is away nobody is found dead.
struct SharedStore {
    /// Milliseconds between two looks; the shorter while the last one brought news, the shortest while somebody waits for
    /// what another node has put there.
    static let pace: (idle: UInt64, busy: UInt64, urgent: UInt64) = (500, 250, 20)
    /// Milliseconds between two commits of this node's writer at most.
    static let beatPeriod: UInt64 = 2_000
    /// How many answers a writer's count may stand still: 5 s.
    static let patience = 10

    private struct Writer {
        let replica: ReplicaID
        var count: Int64
        var silent = 0
    }

    private(set) var isShared = false
    /// The store has to be read as a whole: it has folded what is not applied here, or it is an older one than it was.
    var wantsReading = false
    private var isAsked = false
    private var nextLook: UInt64 = 0
    private var lastLook: UInt64 = 0
    private var isUrgent = false
    private var nextBeat: UInt64 = 0
    /// What was committed when the store was asked.
    private var before = VersionVector()
    /// Sorted by replica.
    private var writers: [Writer] = []

    /// Those that the store has heard of lately, sorted.
    var live: [ReplicaID] { writers.filter { $0.silent < Self.patience }.map(\.replica) }

    /// Whoever has ever written there may live: it has as long as anybody to show it.
    mutating func opened(_ recovered: Recovered, at now: UInt64) {
        isShared = recovered.isShared
        wantsReading = false
        before = VersionVector()  // an answer that is on its way was asked for another state
        nextLook = now
        nextBeat = now
        writers = recovered.vector.components.map { Writer(replica: $0.replica, count: 0) }
        if !isShared { writers = [] }
    }

    /// Somebody waits for what another node has put there: the next look is not put off. One that is under way may have been
    /// too early.
    mutating func hurry() { isUrgent = true }

    /// Whether the store is to be asked now; it is then being asked, until `answered`.
    mutating func look(at now: UInt64, position: VersionVector) -> Bool {
        guard isShared, !isAsked, now >= (isUrgent ? min(nextLook, lastLook + Self.pace.urgent) : nextLook) else {
            return false
        }
        isAsked = true
        isUrgent = false
        lastLook = now
        before = position
        return true
    }

    /// - Returns: whether the store has less than was committed when it was asked, and whether somebody was found gone.
    mutating func answered(_ heads: StoreHeads?, applied: VersionVector, at now: UInt64) -> (older: Bool, lost: Bool) {
        isAsked = false
        guard let heads else {
            nextLook = now + Self.pace.idle
            return (false, false)
        }
        let vector = heads.vector
        nextLook = now + (applied.covers(vector) ? Self.pace.idle : Self.pace.busy)
        let alive = live.count
        var found: [Writer] = []
        for beat in heads.beats {
            let known = writers.first { $0.replica == beat.replica }
            var writer = Writer(replica: beat.replica, count: beat.count)
            // At the first answer all counts are new.
            if let known, known.count == beat.count { writer.silent = min(known.silent + 1, Self.patience) }
            found.append(writer)
        }
        let kept = found.filter { writer in
            writer.silent < Self.patience
                && writers.contains { $0.replica == writer.replica && $0.silent < Self.patience }
        }
        writers = found
        return (!vector.covers(before), kept.count < alive)
    }

    /// Whether this node has to show that it lives.
    func isBeatDue(at now: UInt64) -> Bool { isShared && now >= nextBeat }

    /// The batch goes to the store: where it is not only others' entries, which are there, it counts as a beat.
    mutating func commits(_ batch: Batch, of replica: ReplicaID?, at now: UInt64) {
        if batch.entries.isEmpty || batch.entries.contains(where: { $0.dot.replica == replica }) {
            nextBeat = now + Self.beatPeriod
        }
    }
}

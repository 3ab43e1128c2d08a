// What only this store has, made to stand on another's state.
//
// Two writers that went on from one place of one log have forked it: from there on one dot names two entries. One of the
// two logs stays, and whoever holds the other takes over the state of a node that holds the one that stays
// (`StoreWriter.reload`). What was only here comes after that:
//
// - Entries of logs that have not forked, beyond what the other side has, as they are. Where such a log is folded here beyond
//   what the other side has, its entries do not say all: then what all logs that have not forked have come to is joined with
//   the other side's state as one joins a snapshot (`OwnState`), and only the rest stands in the batch.
// - The losing suffix of a forked log under a new replica, whose name follows from the log's and from the hash of the
//   suffix's first entry. Timestamps, order and dependencies stay, and an id that was made of a dot is written down. So
//   all who held the suffix, whether they wrote it or not, come to the same new log, without a word between them.
// - Likewise an entry that depends on what is nowhere any more, and all of its log behind it.
//
// Invariant: state and batch are causally closed above the other side's vector, each log in them follows on from its end
// there, and nothing that both sides have is in them. Where the other side has folded the document writes around the place
// of the fork, which of them both have can't be told: those are left out; so is what was folded here of a losing suffix.

import ConvergeCRDT
import ConvergeWire

struct OwnSide {
    /// What follows on the other side's state, in a causal order.
    private(set) var batch = Batch()
    /// What is to be joined with the other side's state before that, where entries do not say all.
    private(set) var state: OwnState?

    /// What is covered, and each log's last hash, on the way.
    private var vector: VersionVector
    private var hashes: [ReplicaID: EntryHash] = [:]
    /// The logs that go on under another name.
    private var renamed: [ReplicaID: Renamed] = [:]
    /// Where entries stand that were renamed.
    private var places: [Dot: Dot] = [:]
    private let chain = EntryChain()

    private struct Renamed {
        let replica: ReplicaID
        /// How much of the old log is before it.
        let base: UInt64
        var seq: UInt64 = 0
        /// What the renamed log has counted so far.
        var totals: [DocumentID: CounterTotals] = [:]
    }

    /// - Parameters:
    ///   - mine: how the logs end here.
    ///   - at, theirs: the other side's vector, and how its logs end.
    ///
    /// O(n log n) for n entries that only this side has; a log that has forked is read whole.
    init(mine: [LogEnd], at: VersionVector, theirs: [LogEnd], in sides: some BothSides) throws(StoreError) {
        vector = at
        for end in theirs { hashes[end.dot.replica] = end.hash }
        var news: [Entry] = []
        /// The logs that did not fork, or can't be told to have.
        var whole: [LogEnd] = []
        var isFolded = false
        var parted = VersionVector()
        for end in mine {
            let replica = end.dot.replica
            let common = min(at[replica], end.dot.seq)
            var agrees = common == 0
            if common == end.dot.seq {
                agrees = try sides.hashThere(of: end.dot) == end.hash
            } else if common > 0 {
                let known = try sides.hashThere(of: Dot(replica: replica, seq: common))
                try sides.entries(of: replica, after: common - 1) { (entry) throws(StoreError) in
                    agrees = entry.dot.seq == common && entry.hash == known
                    return false
                }
            }
            let floor = try sides.floor(of: replica)
            let wasFolded = end.dot.seq > at[replica] && floor > at[replica]
            if agrees {
                whole.append(end)
                isFolded = isFolded || wasFolded
                try sides.entries(of: replica, after: common) { (entry) throws(StoreError) in
                    news.append(entry)
                    return true
                }
            } else {
                let fork = try Fork(end, common, in: sides)
                news += fork.news
                if fork.isCertain {
                    parted[replica] = fork.lastEqual
                    if let first = fork.first {
                        renamed[replica] = Renamed(
                            replica: chain.replica(after: replica, forkedAt: first), base: fork.lastEqual)
                    }
                } else {
                    whole.append(end)
                    isFolded = isFolded || wasFolded
                }
            }
        }
        news = CausalOrder.sorted(news)
        if isFolded {
            let state = OwnState(whole, at: at, among: news)
            for end in state.heads {
                vector.advance(to: end.dot)
                hashes[end.dot.replica] = end.hash
            }
            for dot in state.tainted {
                guard let first = news.first(where: { $0.dot == dot }) else { continue }
                renamed[dot.replica] = Renamed(
                    replica: chain.replica(after: dot.replica, forkedAt: first.hash), base: state.through[dot.replica])
            }
            news.removeAll { state.through.covers($0.dot) }
            self.state = state.knowing(parted)
        }
        for entry in news { put(entry) }
    }

    /// Where two copies of a log part, as far as that can be told.
    private struct Fork {
        var lastEqual: UInt64 = 0
        var isCertain = false
        var first: EntryHash?
        var news: [Entry] = []

        init(_ end: LogEnd, _ common: UInt64, in sides: some BothSides) throws(StoreError) {
            var firstDiffering: UInt64?
            var equal: UInt64 = 0
            var news: [Entry] = []
            try sides.entries(of: end.dot.replica, after: 0) { (entry) throws(StoreError) in
                if firstDiffering == nil, entry.dot.seq <= common {
                    let known = try sides.hashThere(of: entry.dot)
                    if known == entry.hash {
                        equal = entry.dot.seq
                        news = []
                        return true
                    }
                    // Where a log is retained at all, all but document writes are from there on: there it is another.
                    let isMissed = known == nil && equal > 0 && entry.folding != .folded
                    if known != nil || isMissed { firstDiffering = entry.dot.seq }
                }
                news.append(entry)
                return true
            }
            if firstDiffering == nil, end.dot.seq == common, let known = try sides.hashThere(of: end.dot),
                known != end.hash
            {
                firstDiffering = common
            }
            lastEqual = equal
            isCertain = firstDiffering != nil
            self.news =
                if let firstDiffering {
                    news.filter { $0.dot.seq >= firstDiffering || $0.kind != .document }
                } else {
                    news.filter { $0.dot.seq > common }
                }
            first = self.news.first?.hash
        }
    }

    // MARK: Placing

    private mutating func put(_ entry: Entry) {
        let log = entry.dot.replica
        if renamed[log] == nil {
            // Here already, by way of another log that was renamed; or behind a gap, with the rest of its log.
            guard entry.dot.seq == vector[log] + 1 else { return }
            if entry.dependencies.allSatisfy(vector.covers) {
                append(entry)
                return
            }
            renamed[log] = Renamed(replica: chain.replica(after: log, forkedAt: entry.hash), base: entry.dot.seq - 1)
        }
        rename(entry, of: log)
    }

    private mutating func append(_ entry: Entry) {
        vector.advance(to: entry.dot)
        hashes[entry.dot.replica] = entry.hash
        batch.entries.append(entry)
        batch.effects.append(contentsOf: entry.effects)
    }

    private mutating func rename(_ entry: Entry, of log: ReplicaID) {
        guard var name = renamed[log] else { return }
        name.seq += 1
        let dot = Dot(replica: name.replica, seq: name.seq)
        places[entry.dot] = dot
        var copy = Entry(
            dot: dot, timestamp: entry.timestamp, kind: entry.kind, room: entry.room,
            payload: payload(of: entry, &name.totals))
        copy.namespace = entry.namespace
        copy.flags = entry.flags
        var past = VersionVector()
        if name.seq == 1, name.base > 0 { past.advance(to: Dot(replica: log, seq: min(name.base, vector[log]))) }
        for dependency in entry.dependencies {
            let now = places[dependency] ?? dependency
            if now.replica != name.replica, vector.covers(now) { past.advance(to: now) }
        }
        copy.dependencies = past.components
        renamed[log] = name
        // Others have come to it before.
        guard dot.seq > vector[name.replica] else { return }
        copy.hash = chain.hash(after: hashes[name.replica] ?? .zero, copy)
        append(copy)
    }

    /// The payload with what it names where that stands now.
    private func payload(of entry: Entry, _ totals: inout [DocumentID: CounterTotals]) -> [UInt8] {
        switch entry.meaning {
        case .message(nil):
            guard var payload = entry.payload.withUnsafeBytes({ try? MessagePayload(decoding: $0) }) else { break }
            payload.id = MessageID(entry.dot)
            return payload.encoded
        case .system(var payload):
            payload.id = payload.id ?? MessageID(entry.dot)
            return payload.encoded
        case .redaction(var payload):
            payload.target = places[payload.target] ?? payload.target
            return payload.encoded
        case .document(var payload):
            payload.delta.observed = payload.delta.observed.map { places[$0] ?? $0 }.sorted()
            count(&payload.delta, of: payload.document(in: entry.room), &totals)
            return payload.encoded
        case .message, .erased, .none: break
        }
        return entry.payload
    }

    /// A counter's totals are those of the new replica, from nothing on.
    private func count(
        _ delta: inout DocumentDelta, of document: DocumentID, _ totals: inout [DocumentID: CounterTotals]
    ) {
        guard delta.operation == .increment else { return }
        var sum = totals[document] ?? CounterTotals()
        if delta.amount > 0 { sum.up &+= UInt64(delta.amount) } else { sum.down &+= delta.amount.magnitude }
        totals[document] = sum
        delta.totals = sum
    }
}

/// A store's logs, and what is known of the other side's.
protocol BothSides {
    /// Hands out the entries of a log here that are after a seq, in order, until `body` returns false.
    func entries(
        of replica: ReplicaID, after seq: UInt64, _ body: (Entry) throws(StoreError) -> Bool
    ) throws(StoreError)

    /// Of a log here.
    func floor(of replica: ReplicaID) throws(StoreError) -> UInt64

    /// The hash of an entry there; nil where the entry is not there any more.
    func hashThere(of dot: Dot) throws(StoreError) -> EntryHash?
}

extension Entry {
    /// What an entry does beside its log, by itself: what it has changed for those in its room is not asked.
    var effects: [StoreEffect] {
        let meaning = meaning
        var effects = SnapshotInstall.followUp(of: self, meaning)
        switch meaning {
        case .system(let payload) where payload.number > 0:
            effects.append(
                .attendance(
                    AttendanceRecord(
                        room: room, user: payload.user, displayName: payload.displayName, number: payload.number,
                        position: position)))
        case .document(let payload):
            effects.append(
                .cells(payload.delta.change(of: payload.document(in: room), dot: dot, timestamp: timestamp)))
        case .message, .system, .redaction, .erased, .none: break
        }
        return effects
    }
}

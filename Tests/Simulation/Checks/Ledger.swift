import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

/// Every entry that any disk ever held, with its whole causal past: what the checks hold a cluster against.
///
/// It reads what is handed to the disks and nothing of what the nodes make of it. It also says which entries have died
/// with their disks, and which seqs of a log have been written twice.
struct Ledger {
    struct Record {
        let entry: Entry
        /// All that its replica had applied before it.
        let past: VersionVector
        /// A message without a key that nobody redacted: everybody who follows its room must see it.
        var mustShow: Bool
    }

    /// One log, from seq 1 on.
    private struct Log {
        var records: [Record] = []
        /// Where its entries of a room are that everybody must see.
        var shown: [Text: [UInt64]] = [:]
        /// The messages and system events of a room, in order, with the ids under which clients know them.
        var owed: [Text: [Owed]] = [:]
    }

    /// Something that whoever follows a room is shown, it or a twin of it.
    struct Owed {
        let seq: UInt64
        let id: String
    }

    private var logs: [ReplicaID: Log] = [:]
    /// In the order of their first entries.
    private(set) var replicas: [ReplicaID] = []
    /// Entries of which no disk has a copy any more, by replica: everything from a seq on.
    private(set) var died: [Dot] = []
    /// Bodies of messages that no disk has any more. Of a log that was written twice a number does not say which is meant, and
    /// what stood under it may stand under another by now.
    private(set) var diedBodies: Set<String> = []
    /// Dots under which there were two entries.
    private(set) var forked: [Dot] = []
    /// What stood under them beside what is in `logs`.
    private var others: [Dot: [Entry]] = [:]
    /// Entries that someone asked to redact.
    private(set) var redacted: [Dot] = []
    /// Entries of kinds that no build here knows.
    private(set) var unknown: [Dot] = []
    private(set) var redactedBodies: [String] = []
    private var redactedIDs: Set<String> = []
    private var twins: [Text: [String: [Dot]]] = [:]
    private(set) var entryCount = 0
    private var redactions: [(target: Dot, by: Dot)] = []

    subscript(_ dot: Dot) -> Record? {
        guard let log = logs[dot.replica], dot.seq > 0, dot.seq <= UInt64(log.records.count) else { return nil }
        return log.records[Int(dot.seq - 1)]
    }

    func head(of replica: ReplicaID) -> UInt64 { UInt64(logs[replica]?.records.count ?? 0) }

    func records(of replica: ReplicaID) -> [Record] { logs[replica]?.records ?? [] }

    /// What a disk has taken; entries come in its own order.
    mutating func stored(_ entries: [Entry]) {
        for entry in entries {
            let replica = entry.dot.replica
            if logs[replica] == nil {
                logs[replica] = Log()
                replicas.append(replica)
            }
            let head = UInt64(logs[replica]!.records.count)
            if entry.dot.seq <= head {
                let known = logs[replica]!.records[Int(entry.dot.seq - 1)].entry
                if known.hash != entry.hash {
                    if !forked.contains(entry.dot) { forked.append(entry.dot) }
                    if others[entry.dot]?.contains(where: { $0.hash == entry.hash }) != true {
                        others[entry.dot, default: []].append(entry)
                        noteRedaction(entry)
                    }
                }
                continue
            }
            guard entry.dot.seq == head + 1 else { continue }  // the check of gaps says so
            var past = logs[replica]!.records.last?.past ?? VersionVector()
            past[replica] = head
            for dot in entry.dependencies { past.advance(to: dot) }
            // What was erased already is an entry of its own where a fork has moved it to another log.
            let mustShow =
                entry.namespace == 0 && entry.kind == .message && !entry.isKeyedMessage
                && !entry.flags.contains(.redacted)
            if mustShow { logs[replica]!.shown[entry.room, default: []].append(entry.dot.seq) }
            if !entry.kind.isKnown { unknown.append(entry.dot) }
            if let id = entry.shownID {
                logs[replica]!.owed[entry.room, default: []].append(Owed(seq: entry.dot.seq, id: id))
                twins[entry.room, default: [:]][id, default: []].append(entry.dot)
            }
            logs[replica]!.records.append(Record(entry: entry, past: past, mustShow: mustShow))
            entryCount += 1
            noteRedaction(entry)
        }
    }

    private mutating func noteRedaction(_ entry: Entry) {
        guard case .redaction(let payload) = entry.meaning else { return }
        redactions.append((payload.target, entry.dot))
    }

    /// Of a log that has forked takes the one that ends so for the log.
    mutating func settle(_ end: LogEnd) {
        let replica = end.dot.replica
        guard forked.contains(where: { $0.replica == replica }), head(of: replica) >= end.dot.seq else { return }
        let chain = EntryChain()
        var chosen: [Entry] = []
        for seq in (1...end.dot.seq).reversed() {
            let dot = Dot(replica: replica, seq: seq)
            let all = [logs[replica]!.records[Int(seq - 1)].entry] + (others[dot] ?? [])
            let next = chosen.last
            guard
                let entry = all.first(where: { entry in
                    next.map { chain.hash(after: entry.hash, $0) == $0.hash } ?? (entry.hash == end.hash)
                })
            else { return }
            chosen.append(entry)
        }
        var past = VersionVector()
        for (index, entry) in chosen.reversed().enumerated() {
            past[replica] = UInt64(index)
            for dot in entry.dependencies { past.advance(to: dot) }
            logs[replica]!.records[index] = Record(entry: entry, past: past, mustShow: false)
        }
    }

    mutating func redact(_ dot: Dot) {
        redacted.append(dot)
        if let id = self[dot]?.entry.shownID { redactedIDs.insert(id) }
        if let entry = self[dot]?.entry,
            let payload = entry.payload.withUnsafeBytes({ try? MessagePayload(decoding: $0) })
        {
            redactedBodies.append(String(decoding: payload.body, as: UTF8.self))
        }
        guard logs[dot.replica] != nil, self[dot] != nil else { return }
        logs[dot.replica]!.records[Int(dot.seq - 1)].mustShow = false
    }

    /// A disk had all of `before` and has only `after` now; `others` is what the other disks hold.
    mutating func lost(_ before: VersionVector, _ after: VersionVector, others: [VersionVector]) {
        for dot in before.components where dot.seq > after[dot.replica] {
            var kept = after[dot.replica]
            for other in others { kept = max(kept, other[dot.replica]) }
            if kept < dot.seq { died.append(Dot(replica: dot.replica, seq: kept + 1)) }
        }
    }

    /// A disk showed these messages; what it and the others show now is asked one by one, until all are found.
    mutating func lost(_ bodies: Set<String>, kept: [() -> Set<String>]) {
        var gone = bodies
        for kept in kept where !gone.isEmpty { gone.subtract(kept()) }
        diedBodies.formUnion(gone)
    }

    /// Whether the entry may be gone from everywhere, with the disks that it was on.
    func mayHaveDied(_ dot: Dot) -> Bool { died.contains { $0.replica == dot.replica && dot.seq >= $0.seq } }

    /// Whether something within the vector may already be erased though the redaction is not within it: whoever has
    /// erased an entry passes it on so.
    func isErasedAhead(of vector: VersionVector) -> Bool {
        redactions.contains { vector.covers($0.target) && !vector.covers($0.by) }
    }

    /// Whether the entry may be erased on some nodes and not on others for ever: its redaction died with its disks, and
    /// copies that were erased did not.
    func isErasedInPart(_ dot: Dot) -> Bool {
        redactions.contains { $0.target == dot && mayHaveDied($0.by) }
    }

    /// Whether the log was written twice anywhere.
    func hasForked(_ replica: ReplicaID) -> Bool { forked.contains { $0.replica == replica } }

    /// Whether the vector covers a dot of which there were two entries.
    func isForked(within vector: VersionVector) -> Bool { forked.contains { vector.covers($0) } }

    /// The last entry of a log within a room, up to `seq`, that everybody must see; 0 where there is none.
    func lastShown(_ room: Text, _ replica: ReplicaID, through seq: UInt64) -> UInt64 {
        guard let log = logs[replica], let seqs = log.shown[room] else { return 0 }
        var low = 0
        var high = seqs.count
        while low < high {
            let middle = (low + high) / 2
            if seqs[middle] <= seq { low = middle + 1 } else { high = middle }
        }
        while low > 0 {
            let seq = seqs[low - 1]
            if log.records[Int(seq - 1)].mustShow { return seq }
            low -= 1
        }
        return 0
    }

    /// Messages and system events of a log within a room, in `after` < seq <= `through`.
    func owed(_ room: Text, _ replica: ReplicaID, after: UInt64, through: UInt64) -> ArraySlice<Owed> {
        guard let all = logs[replica]?.owed[room] else { return [] }
        func index(after seq: UInt64) -> Int {
            var (low, high) = (0, all.count)
            while low < high {
                let middle = (low + high) / 2
                if all[middle].seq <= seq { low = middle + 1 } else { high = middle }
            }
            return low
        }
        let first = index(after: after)
        return all[first..<max(first, index(after: through))]
    }

    /// All entries of the room with this id.
    func twins(_ id: String, in room: Text) -> [Dot] { twins[room]?[id] ?? [] }

    /// The first of what a client is owed within a vector that it was not shown; what `origin` covers it is not owed, and of
    /// twins one is enough, which may have been there before.
    func firstUnshown(
        in room: Text, after: VersionVector, through vector: VersionVector, origin: VersionVector,
        shown ids: Set<String>
    ) -> Dot? {
        for end in vector.components {
            let first = max(after[end.replica], origin[end.replica])
            for owed in owed(room, end.replica, after: first, through: end.seq) where !ids.contains(owed.id) {
                let dot = Dot(replica: end.replica, seq: owed.seq)
                if !isRedacted(owed.id, dot), !twins(owed.id, in: room).contains(where: origin.covers) { return dot }
            }
        }
        return nil
    }

    func isRedacted(_ id: String, _ dot: Dot) -> Bool { redactedIDs.contains(id) || redacted.contains(dot) }

    /// The entries of a log within a room that everybody must see, in `after` < seq <= `through`.
    func shown(_ room: Text, _ replica: ReplicaID, after: UInt64, through: UInt64) -> [Record] {
        guard let log = logs[replica], let seqs = log.shown[room] else { return [] }
        return seqs.filter { $0 > after && $0 <= through }.map { log.records[Int($0 - 1)] }.filter(\.mustShow)
    }
}

extension Entry {
    /// The id under which clients are shown a message or a system event.
    var shownID: String? {
        guard namespace == 0, !flags.contains(.redacted) else { return nil }
        let id: MessageID?
        switch kind {
        case .message: id = payload.withUnsafeBytes { try? MessagePayload(decoding: $0) }?.id
        case .system: id = payload.withUnsafeBytes { try? SystemPayload(decoding: $0) }?.id
        default: return nil
        }
        let shown = id ?? MessageID(dot)
        return hexadecimal(shown.high) + hexadecimal(shown.low)
    }

    private func hexadecimal(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    var isKeyedMessage: Bool {
        // version, then whether there is an id: see the layout in EntryCodec.
        kind == .message && payload.count > 1 && payload[1] == 1 && !flags.contains(.redacted)
    }
}

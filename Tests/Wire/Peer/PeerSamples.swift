import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire

/// Random frames of every kind, as nodes could say them.
struct PeerSamples {
    static let kindCount = 18

    var random: SplitMix64
    /// A few replicas that come again and again, as in a cluster.
    private let cluster: [ReplicaID]

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        cluster = [1, 2, 0xFFFF_FFFF_FFFF_FFFE, 0x0102_0304_0506_0708].map(ReplicaID.init)
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    mutating func flip() -> Bool { Bool.random(using: &random) }

    /// Numbers of every length.
    mutating func number() -> UInt64 { UInt64.random(in: 0 ... .max, using: &random) >> UInt64(below(64)) }

    mutating func seq() -> UInt64 { max(1, number()) }

    mutating func text(_ longest: Int = 12) -> Text {
        let pool: [Unicode.Scalar] = ["a", "b", "Z", " ", "\u{0}", "é", "日", "😀", "\u{301}"]
        var scalars = String.UnicodeScalarView()
        for _ in 0..<below(longest + 1) { scalars.append(pool[below(pool.count)]) }
        return Text(String(scalars))
    }

    /// What a node may call itself.
    mutating func name() -> Text { text().withoutControls }

    mutating func room() -> Text { flip() ? "dev" : text(4) }

    mutating func bytes(_ longest: Int = 20) -> [UInt8] {
        (0..<below(longest + 1)).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    mutating func replica() -> ReplicaID {
        below(4) > 0 ? cluster[below(cluster.count)] : ReplicaID(assigned: number()) ?? cluster[0]
    }

    mutating func dot() -> Dot { Dot(replica: replica(), seq: seq()) }

    mutating func timestamp() -> HybridTimestamp {
        flip()
            ? HybridTimestamp(rawValue: number())
            : HybridTimestamp(milliseconds: 1_800_000_000_000 + UInt64(below(1000)), counter: UInt16(below(9)))
    }

    mutating func position() -> Position { Position(timestamp: timestamp(), dot: dot()) }

    mutating func id() -> MessageID { MessageID(high: number(), low: number()) }

    mutating func list<T>(_ longest: Int = 4, _ one: (inout PeerSamples) -> T) -> [T] {
        (0..<below(longest + 1)).map { _ in one(&self) }
    }

    mutating func vector() -> VersionVector { VersionVector(list { $0.dot() }) }

    mutating func replicas() -> [ReplicaID] { Set(list { $0.replica() }).sorted() }

    mutating func entry(after before: Entry?) -> Entry {
        var dot = dot()
        if let before, below(3) > 0 {
            dot = Dot(replica: before.dot.replica, seq: flip() ? max(1, before.dot.seq &+ 1) : seq())
        }
        let kind: EntryKind =
            below(5) > 0 ? [.message, .system, .document][below(3)] : EntryKind(rawValue: UInt8(below(256)))
        var entry = Entry(dot: dot, timestamp: timestamp(), kind: kind, room: room(), payload: bytes())
        if below(4) == 0 { entry.flags = Entry.Flags(rawValue: UInt8(below(256))) }
        if below(4) == 0 { entry.namespace = UInt8(below(256)) }
        if flip() { entry.dependencies = list { $0.dot() } }
        entry.hash = EntryHash(high: number(), low: number())
        return entry
    }

    mutating func entries() -> [Entry] {
        var entries: [Entry] = []
        for _ in 0..<below(6) { entries.append(entry(after: entries.last)) }
        return entries
    }

    mutating func update() -> MemberUpdate {
        MemberUpdate(
            replica: replica(), incarnation: number(), state: MemberState(rawValue: UInt8(1 + below(4)))!,
            from: replica(), address: text(), name: text())
    }

    mutating func seat() -> Seat {
        Seat(room: room(), user: text(), displayName: text(), sessions: UInt32(truncatingIfNeeded: number()))
    }

    mutating func hello() -> PeerHello {
        let versions = [UInt16(below(65536)), UInt16(below(65536))].sorted()
        return PeerHello(
            lowestVersion: versions[0], highestVersion: versions[1], cluster: name(), replica: replica(),
            boot: number(), process: number(), name: name(), address: name(), wall: number(), incarnation: number(),
            lastKind: UInt8(4 + below(9)))
    }

    mutating func digest() -> PeerDigest {
        PeerDigest(
            heads: replicas().map { HeadDigest(dot: Dot(replica: $0, seq: seq()), hash: number()) },
            floors: vector().components, direct: replicas(),
            presence: list { PresenceVersion(owner: $0.replica(), boot: $0.number(), version: $0.number()) },
            wall: number())
    }

    mutating func range(_ replica: ReplicaID) -> LogRange {
        let ends = [number(), number()].sorted()
        return LogRange(replica: replica, after: ends[0], through: ends[1])
    }

    mutating func documentID() -> DocumentID {
        DocumentID(room: room(), kind: DocumentKind.allCases[below(DocumentKind.allCases.count)], name: text())
    }

    mutating func document() -> SnapshotDocument {
        let id = documentID()
        let touched = vector()
        let cells: [[DocumentCell]] =
            switch id.kind.form.layout {
            case .element:
                list { [DocumentCell(key: $0.text(), value: .none, dot: $0.dot(), timestamp: $0.timestamp())] }
            case .cell:
                list {
                    let value = $0.flip() ? CellValue.text($0.text()) : .none
                    return [DocumentCell(key: $0.text(), value: value, dot: $0.dot(), timestamp: $0.timestamp())]
                }
            case .value:
                list {
                    let value = $0.flip() ? CellValue.text($0.text()) : .none
                    return [DocumentCell(key: "", value: value, dot: $0.dot(), timestamp: $0.timestamp())]
                }
            case .totals:
                vector().components.map {
                    CounterForm.cells(
                        of: CounterTotals(up: number(), down: number()), dot: $0, timestamp: timestamp())
                }
            }
        return SnapshotDocument(id: id, touched: touched, cells: cells.flatMap { $0 })
    }

    mutating func cursor() -> SnapshotCursor? {
        switch below(5) {
        case 0: nil
        case 1: .document(documentID())
        case 2: .attendance(room: room(), user: text())
        case 3: .key(id())
        default: .entry(dot())
        }
    }

    mutating func want() -> SnapshotWant {
        var want = SnapshotWant(
            number: number(), have: vector(), since: vector(), reached: vector(), after: cursor(), limit: number())
        if flip() { want.hashes = want.have.components.map { _ in number() } }
        return want
    }

    mutating func chunk() -> SnapshotChunk {
        let status = SnapshotChunk.Status(rawValue: UInt8(1 + below(5)))!
        var chunk = SnapshotChunk(number: number(), status: status, at: vector())
        chunk.horizon = vector()
        chunk.documents = list { $0.document() }
        chunk.attendance = list {
            AttendanceRecord(
                room: $0.room(), user: $0.text(), displayName: $0.text(), number: $0.number(), position: $0.position())
        }
        chunk.keys = list { KeyPosition(id: $0.id(), position: $0.position()) }
        var dots = Set<Dot>()
        chunk.entries = entries().sorted { $0.dot < $1.dot }.filter { dots.insert($0.dot).inserted }
        chunk.next = cursor()
        if status == .final {
            chunk.end = SnapshotEnd(
                heads: list { LogEnd(dot: $0.dot(), hash: EntryHash(high: $0.number(), low: $0.number())) },
                floors: vector(), clock: timestamp())
        }
        return chunk
    }

    /// A random frame of one of the kinds, 0 ..< `kindCount`.
    mutating func frame(_ kind: Int) -> PeerFrame {
        switch kind {
        case 0: .hello(hello())
        case 1: .refused(PeerRefusal(rawValue: UInt8(1 + below(7)))!)
        case 2: .probe(number: number(), list { $0.update() })
        case 3: .probeRequest(number: number(), target: replica(), list { $0.update() })
        case 4: .probeAck(number: number(), list { $0.update() })
        case 5: .probeNack(number: number())
        case 6: .members(list { $0.update() })
        case 7: .entries(entries(), wantsStored: flip())
        case 8: .stored(seq: number(), bytes: number())
        case 9: .digest(digest())
        case 10: .summary(hash: number())
        case 11: .want(EntriesWant(number: number(), ranges: replicas().map { range($0) }, limit: number()))
        case 12:
            .range(
                EntriesRange(
                    number: number(), status: EntriesRange.Status(rawValue: UInt8(1 + below(4)))!, entries: entries()))
        case 13:
            .snapshotWant(want())
        case 14: .snapshotChunk(chunk())
        case 15:
            .presenceDelta(
                PresenceDelta(owner: replica(), boot: number(), from: number() / 2, changes: list { $0.seat() }))
        case 16: .presenceWant(PresenceWant(owner: replica(), boot: number()))
        default:
            .presenceChunk(
                PresenceChunk(
                    owner: replica(), boot: number(), version: number(), index: UInt32(truncatingIfNeeded: number()),
                    isLast: flip(), seats: list { $0.seat() }))
        }
    }
}

extension PeerFrame {
    /// Reads one frame whose length stands before it; nil where the bytes are no frame.
    static func decoded(_ bytes: [UInt8]) -> Result<PeerFrame, PeerFrameError> {
        bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            guard let body = try? reader.counted(), reader.remaining == 0 else { return .failure(.truncated) }
            do throws(PeerFrameError) { return .success(try PeerFrame(decoding: body)) } catch {
                return .failure(error)
            }
        }
    }

    static func decoded(body: [UInt8]) -> Result<PeerFrame, PeerFrameError> {
        body.withUnsafeBytes { body in
            do throws(PeerFrameError) { return .success(try PeerFrame(decoding: body)) } catch {
                return .failure(error)
            }
        }
    }
}

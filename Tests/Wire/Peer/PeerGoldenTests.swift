import ConvergeCRDT
import ConvergeWire
import Testing

/// The bytes of one frame of each kind, which nodes of all builds of this major version agree on.
@Suite struct PeerGoldenTests {
    private static let ann = ReplicaID(rawValue: 0xA1A2_A3A4_A5A6_A7A8)
    private static let bob = ReplicaID(rawValue: 0xB1B2_B3B4_B5B6_B7B8)
    private static let hash = EntryHash(high: 0x0011_2233_4455_6677, low: 0x8899_AABB_CCDD_EEFF)

    private static func entries() -> [Entry] {
        var first = Entry(
            dot: Dot(replica: ann, seq: 300), timestamp: HybridTimestamp(rawValue: 0x40), kind: .message, room: "dev",
            payload: [1, 2, 3])
        first.hash = hash
        first.dependencies = [Dot(replica: bob, seq: 5)]
        var next = first
        next.dot.seq = 301
        next.timestamp.rawValue = 0x3F
        next.kind = .document
        next.dependencies = []
        next.flags = .redacted
        next.payload = []
        var other = next
        other.dot = Dot(replica: bob, seq: 6)
        other.kind = EntryKind(rawValue: 9)
        other.namespace = 2
        other.flags = Entry.Flags(rawValue: 0x40)
        other.room = "é"
        var later = other
        later.dot.seq = 8
        later.kind = .system
        later.namespace = 0
        later.flags = []
        return [first, next, other, later]
    }

    private static let hashHex = "00112233445566778899AABBCCDDEEFF"
    /// lead, (kind,) replica, seq, timestamp, (dependencies,) room, hash, payload
    private static let entriesHex =
        "44 00A1A2A3A4A5A6A7A8 AC02 8001 01 00B1B2B3B4B5B6B7B8 05 04646576 \(hashHex) 03010203"
        + "CA 01 00 \(hashHex) 00" + "10 010240 09 02 06 00 03C3A9 \(hashHex) 00" + "81 08 00 00 \(hashHex) 00"

    private static let update = MemberUpdate(
        replica: ann, incarnation: 3, state: .suspect, from: bob, address: "h:1", name: "n")
    private static let updateHex = "00A1A2A3A4A5A6A7A8 03 02 00B1B2B3B4B5B6B7B8 03683A31 016E"

    private static let seats = [
        Seat(room: "dev", user: "u", displayName: "Ann", sessions: 2),
        Seat(room: "dev", user: "v", displayName: "", sessions: 0),
    ]
    private static let seatsHex = "04646576 0175 03416E6E 02" + "00 0176 00 00"

    private static func chunk() -> SnapshotChunk {
        let id = DocumentID(room: "dev", kind: .orSet, name: "d")
        let counter = DocumentID(room: "dev", kind: .counter, name: "d")
        let position = Position(timestamp: HybridTimestamp(rawValue: 3), dot: Dot(replica: bob, seq: 4))
        var chunk = SnapshotChunk(number: 7, status: .final, at: VersionVector([Dot(replica: ann, seq: 9)]))
        chunk.horizon = VersionVector([Dot(replica: bob, seq: 1)])
        chunk.documents = [
            SnapshotDocument(
                id: id, touched: VersionVector([Dot(replica: ann, seq: 2)]),
                cells: [
                    DocumentCell(
                        key: "x", value: .none, dot: Dot(replica: ann, seq: 1),
                        timestamp: HybridTimestamp(rawValue: 1))
                ]),
            SnapshotDocument(
                id: counter, touched: VersionVector([Dot(replica: ann, seq: 3)]),
                cells: CounterForm.cells(
                    of: CounterTotals(up: 300, down: 1), dot: Dot(replica: bob, seq: 2),
                    timestamp: HybridTimestamp(rawValue: 1))),
        ]
        chunk.attendance = [AttendanceRecord(room: "dev", user: "u", displayName: "U", number: 5, position: position)]
        chunk.keys = [KeyPosition(id: MessageID(high: hash.high, low: hash.low), position: position)]
        var entry = entries()[1]
        entry.timestamp.rawValue = 3
        chunk.entries = [entry]
        chunk.next = .document(id)
        chunk.end = SnapshotEnd(
            heads: [LogEnd(dot: Dot(replica: ann, seq: 301), hash: hash)],
            floors: VersionVector([Dot(replica: bob, seq: 1)]), clock: HybridTimestamp(rawValue: 4))
        return chunk
    }
    private static let chunkHex =
        "07 03 01 00A1A2A3A4A5A6A7A8 09" + "01 00B1B2B3B4B5B6B7B8 01" + "02 04646576 01 0164 01 01 02 01"
        + "01 0178 01 01 02" + "00 03 0164 01 01 03 01" + "02 AC02 01 02 02 00" + "01 00 0175 0155 05 04 02 04"
        + "01 \(hashHex) 00 02 04" + "01 C8 01 AD02 00 00 \(hashHex) 00" + "01 00 01 0164"
        + "01 01 AD02 \(hashHex) 01 02 01 02"

    private static let known: [(PeerFrame, kind: String, body: String)] = [
        (
            .hello(
                PeerHello(
                    lowestVersion: 1, highestVersion: 2, cluster: "c", replica: ann, boot: 3, process: 0x1122,
                    name: "n", address: "h:1", wall: 300, incarnation: 4)),
            "01", "01 02 0163 00A1A2A3A4A5A6A7A8 03 0000000000001122 016E 03683A31 AC02 04"
        ),
        (
            .hello(
                PeerHello(
                    lowestVersion: 1, highestVersion: 2, cluster: "c", replica: ann, boot: 3, process: 0x1122,
                    name: "n", address: "h:1", wall: 300, incarnation: 4, lastKind: 4)),
            "01", "01 02 0163 00A1A2A3A4A5A6A7A8 03 0000000000001122 016E 03683A31 AC02 04 04"
        ),
        (.refused(.twin), "02", "05"),
        (.probe(number: 300, []), "08", "AC02"),
        (.probe(number: 1, [update]), "08", "01 \(updateHex)"),
        (
            .probeRequest(number: 1, target: bob, [update]), "09",
            "01 00B1B2B3B4B5B6B7B8 00A1A2A3A4A5A6A7A8 03 02 01 03683A31 016E"
        ),
        (.probeAck(number: 1, [update]), "0A", "01 \(updateHex)"),
        (.probeNack(number: 0), "0B", "00"),
        (.members([update, update]), "0C", "\(updateHex) 01 03 02 02 03683A31 016E"),
        (.entries(entries(), wantsStored: true), "10", "01 \(entriesHex)"),
        (.stored(seq: 127, bytes: 128), "11", "7F 8001"),
        (
            .digest(
                PeerDigest(
                    heads: [
                        HeadDigest(dot: Dot(replica: ann, seq: 7), hash: hash.high),
                        HeadDigest(dot: Dot(replica: bob, seq: 300), hash: hash.low),
                    ], floors: [Dot(replica: bob, seq: 6)], direct: [ann, bob],
                    presence: [PresenceVersion(owner: bob, boot: 1, version: 2)], wall: 128)),
            "12",
            "02 00A1A2A3A4A5A6A7A8 07 0011223344556677 00B1B2B3B4B5B6B7B8 AC02 8899AABBCCDDEEFF"
                + "01 02 06" + "02 01 02" + "01 02 01 02" + "8001"
        ),
        (.summary(hash: 0x0102), "13", "0000000000000102"),
        (
            .want(EntriesWant(number: 2, ranges: [LogRange(replica: ann, after: 5, through: 9)], limit: 65536)),
            "14", "02 01 00A1A2A3A4A5A6A7A8 05 04 808004"
        ),
        (.range(EntriesRange(number: 2, status: .more, entries: entries())), "15", "02 02 \(entriesHex)"),
        (
            .snapshotWant(
                SnapshotWant(
                    number: 1, have: VersionVector([Dot(replica: ann, seq: 2)]), since: VersionVector(),
                    reached: VersionVector([Dot(replica: ann, seq: 3)]), after: .attendance(room: "dev", user: "u"),
                    limit: 1, hashes: [0x0102])),
            "20", "01 01 00A1A2A3A4A5A6A7A8 02 00 01 01 03 01 02 04646576 0175" + "01 0000000000000102"
        ),
        (.snapshotChunk(chunk()), "21", chunkHex),
        (
            .presenceDelta(PresenceDelta(owner: ann, boot: 1, from: 300, changes: seats)),
            "28", "00A1A2A3A4A5A6A7A8 01 AC02 \(seatsHex)"
        ),
        (.presenceWant(PresenceWant(owner: ann, boot: 1)), "29", "00A1A2A3A4A5A6A7A8 01"),
        (
            .presenceChunk(PresenceChunk(owner: ann, boot: 1, version: 2, index: 3, isLast: true, seats: seats)),
            "2A", "00A1A2A3A4A5A6A7A8 01 02 03 01 \(seatsHex)"
        ),
    ]

    @Test("the bytes of each kind", arguments: known.indices)
    func golden(_ index: Int) {
        let (frame, kind, body) = PeerGoldenTests.known[index]
        let content = hex(kind + body)
        var length = ByteBuffer()
        length.appendVarint(UInt64(content.count))
        #expect(frame.encoded() == length.array() + content)
        #expect(PeerFrame.decoded(body: content) == .success(frame))
    }

    @Test("every kind has its bytes here")
    func complete() {
        #expect(Set(PeerGoldenTests.known.map(\.kind)).count == PeerSamples.kindCount)
    }

    @Test("the other places of a snapshot's pass")
    func cursors() {
        let places: [(SnapshotCursor?, String)] = [
            (nil, "00"), (.document(DocumentID(room: "r", kind: .register, name: "d")), "01 0272 02 0164"),
            (.key(MessageID(high: 1, low: 2)), "03 0000000000000001 0000000000000002"),
            (.entry(Dot(replica: PeerGoldenTests.ann, seq: 4)), "04 00A1A2A3A4A5A6A7A8 04"),
        ]
        for (place, bytes) in places {
            let frame = PeerFrame.snapshotWant(
                SnapshotWant(
                    number: 0, have: VersionVector(), since: VersionVector(), reached: VersionVector(), after: place,
                    limit: 0))
            #expect(Array(frame.encoded().dropFirst()) == hex("20 00 00 00 00 00" + bytes + "00"))
        }
    }
}

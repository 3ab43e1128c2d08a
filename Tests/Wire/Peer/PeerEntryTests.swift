import ConvergeCRDT
import ConvergeWire
import Testing

/// Entries within a frame: nothing of them is lost, and each has one form.
@Suite struct PeerEntryTests {
    private let ann = "00A1A2A3A4A5A6A7A8"
    private let hash = "000000000000000000000000000000FF"

    private func refusal(_ entries: String) -> PeerFrameError? {
        guard case .failure(let error) = PeerFrame.decoded(body: hex("10 00" + entries)) else { return nil }
        return error
    }

    @Test("kinds, flags and namespaces of newer builds come through as they are")
    func unknownKinds() {
        var wrong: [Entry] = []
        for code in 0...255 {
            var entry = Entry(
                dot: Dot(replica: ReplicaID(rawValue: 1), seq: 1), timestamp: .zero,
                kind: EntryKind(rawValue: UInt8(code)), room: "", payload: [0xFF, 0])
            entry.flags = Entry.Flags(rawValue: UInt8(255 - code))
            entry.namespace = UInt8(code / 2)
            let frame = PeerFrame.entries([entry], wantsStored: false)
            if PeerFrame.decoded(frame.encoded()) != .success(frame) { wrong.append(entry) }
        }
        #expect(wrong == [])
    }

    @Test("dots that follow each other, leave gaps, go back and change their replica")
    func dots() {
        let dots: [(UInt64, UInt64)] = [
            (1, 1), (1, 2), (1, 4), (1, 3), (1, 3), (2, 4), (1, 5), (1, .max), (2, .max), (2, 1), (2, 2),
        ]
        let entries = dots.map {
            Entry(
                dot: Dot(replica: ReplicaID(rawValue: $0.0), seq: $0.1), timestamp: HybridTimestamp(rawValue: $0.1),
                kind: .message, room: "r", payload: [])
        }
        let frame = PeerFrame.entries(entries, wantsStored: true)
        #expect(PeerFrame.decoded(frame.encoded()) == .success(frame))
    }

    @Test("a header of a newer version ends the frame")
    func unknownVersion() {
        #expect(refusal("50 02") == .unknownEntryVersion(2))
        #expect(refusal("50 00") == .unknownEntryVersion(0))
    }

    @Test("an entry in another than its shortest form is refused")
    func shortest() {
        let whole = "40 \(ann) 05 00 0272 \(hash) 00"
        #expect(refusal(whole) == nil)
        #expect(refusal(whole + "42 00 00 \(hash) 00") == nil)
        #expect(refusal(whole + "41 06 00 00 \(hash) 00") == .invalidField)
        #expect(refusal(whole + "40 01 07 00 00 \(hash) 00") == .invalidField)
        #expect(refusal(whole + "43 00 00 \(hash) 00") == .invalidField)
        // Without one before it.
        #expect(refusal("41 01 00 0272 \(hash) 00") == .invalidField)
        #expect(refusal("42 00 0272 \(hash) 00") == .invalidField)
        // A seq of 0, and one past the last number.
        #expect(refusal("40 \(ann) 00 00 0272 \(hash) 00") == .invalidField)
        #expect(refusal("40 \(ann) FFFFFFFFFFFFFFFFFF01 00 0272 \(hash) 00 42 00 00 \(hash) 00") == .invalidField)
        // Bits and bytes that could have been left out, or mean nothing.
        #expect(refusal("60 \(ann) 05 00 0272 \(hash) 00") == .invalidField)
        #expect(refusal("44 \(ann) 05 00 00 0272 \(hash) 00") == .invalidField)
        #expect(refusal("50 010000 \(ann) 05 00 0272 \(hash) 00") == .invalidField)
        #expect(refusal("50 010001 \(ann) 05 00 0272 \(hash) 00") == .invalidField)
        #expect(refusal("00 01 \(ann) 05 00 0272 \(hash) 00") == .invalidField)
    }

    // MARK: Sizes

    private func entry(_ seq: UInt64) -> Entry {
        let payload = MessagePayload(user: "ann", displayName: "Ann", body: Array("good morning".utf8)).encoded
        var entry = Entry(
            dot: Dot(replica: ReplicaID(rawValue: 0xA1A2_A3A4_A5A6_A7A8), seq: seq),
            timestamp: HybridTimestamp(milliseconds: 1_800_000_000_000 + seq * 7), kind: .message, room: "general",
            payload: payload)
        entry.hash = EntryHash(high: .max, low: .max)
        return entry
    }

    private func storedSize(_ entry: Entry) -> Int {
        var out = ByteBuffer()
        entry.appendHeader(to: &out)
        return out.count + 16 + entry.payload.count
    }

    @Test("a push of one entry costs at most 12 bytes more than the entry stored, and in a list less than it stored")
    func sizes() {
        let alone = entry(1_000_000)
        let overhead = PeerFrame.entries([alone], wantsStored: true).encoded().count - storedSize(alone)
        #expect(overhead <= 4)
        var withDependencies = alone
        withDependencies.dependencies = (1...5).map { Dot(replica: ReplicaID(rawValue: .max - $0), seq: 1_000_000) }
        let more = PeerFrame.entries([withDependencies], wantsStored: true).encoded().count
        #expect(more - storedSize(withDependencies) <= 12)
        let entries = (1...100).map { entry(1_000_000 + $0) }
        let list = PeerFrame.entries(entries, wantsStored: false).encoded().count
        let stored = entries.map(storedSize).reduce(0, +)
        #expect(Double(list) < 0.75 * Double(stored))
    }

    @Test("what is said in quiet times is small")
    func quietSizes() {
        let replicas = (1...3).map { ReplicaID(rawValue: UInt64.max / 7 * $0) }
        let digest = PeerFrame.digest(
            PeerDigest(
                heads: replicas.map { HeadDigest(dot: Dot(replica: $0, seq: 100_000_000), hash: .max) }, floors: [],
                direct: replicas, presence: replicas.map { PresenceVersion(owner: $0, boot: 100, version: 1_000_000) },
                wall: 1_800_000_000_000))
        #expect(digest.encoded().count < 110)
        #expect(PeerFrame.summary(hash: .max).encoded().count == 10)
        #expect(PeerFrame.probe(number: .max, []).encoded().count == 12)
        #expect(PeerFrame.probeAck(number: 1_000_000, []).encoded().count == 5)
        #expect(PeerFrame.probeNack(number: .max).encoded().count == 12)
        let seat = Seat(room: "general", user: "ann", displayName: "Ann", sessions: 1)
        let delta = PeerFrame.presenceDelta(
            PresenceDelta(owner: replicas[0], boot: .max, from: .max - 1, changes: [seat]))
        #expect(delta.encoded().count < 40 + 13)
    }
}

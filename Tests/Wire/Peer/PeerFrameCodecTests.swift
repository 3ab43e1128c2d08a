import ConvergeCRDT
import ConvergeWire
import Testing

@Suite struct PeerFrameCodecTests {
    @Test("what was encoded is read back as it was, of every kind")
    func roundTrip() {
        var wrong: [PeerFrame] = []
        var samples = PeerSamples(seed: 1)
        for round in 0..<3600 {
            let frame = samples.frame(round % PeerSamples.kindCount)
            if PeerFrame.decoded(frame.encoded()) != .success(frame) { wrong.append(frame) }
        }
        #expect(wrong == [], "seed 1")
    }

    @Test("frames are appended to what is there, with lengths of one to three bytes")
    func lengths() {
        for count in [0, 1, 90, 126, 127, 128, 300, 16_383, 16_384, 70_000] {
            let user = Text(String(repeating: "a", count: min(count, 4096)))
            let frame = PeerFrame.presenceDelta(
                PresenceDelta(
                    owner: ReplicaID(rawValue: 1), boot: 1, from: 1,
                    changes: (0..<max(1, count / 4096)).map { _ in
                        Seat(room: "r", user: user, displayName: "", sessions: 1)
                    }))
            var out = ByteBuffer()
            out.append(7)
            PeerFrameCodec.encode(frame, to: &out)
            #expect(out.bytes.first == 7)
            #expect(PeerFrame.decoded(Array(out.array().dropFirst())) == .success(frame), "\(count)")
        }
    }

    @Test("more replicas than a frame can refer to are written out each time")
    func manyReplicas() {
        let replicas = (1...400).map { ReplicaID(rawValue: $0 * 0x0101_0101_0101) }
        let frame = PeerFrame.digest(
            PeerDigest(
                heads: replicas.map { HeadDigest(dot: Dot(replica: $0, seq: 1), hash: 2) }, floors: [],
                direct: replicas, presence: [], wall: 0))
        let bytes = frame.encoded()
        #expect(bytes.count == 3 + 2 + 400 * 18 + 1 + 2 + 255 + 145 * 9 + 1 + 1)
        #expect(PeerFrame.decoded(bytes) == .success(frame))
    }

    // MARK: Foreign bytes

    @Test(
        "a replica of all zeros or all ones is nobody's, and refused wherever a frame names one",
        arguments: [0, UInt64.max])
    func nobody(_ number: UInt64) {
        let nobody = ReplicaID(rawValue: number)
        let (ann, dot) = (ReplicaID(rawValue: 5), Dot(replica: nobody, seq: 3))
        var entry = Entry(dot: dot, timestamp: .zero, kind: .message, room: "r", payload: [])
        var dependent = Entry(
            dot: Dot(replica: ann, seq: 1), timestamp: .zero, kind: .message, room: "r", payload: [])
        dependent.dependencies = [dot]
        entry.hash = EntryHash(high: 1, low: 2)
        var chunk = SnapshotChunk(number: 1, status: .more, at: VersionVector([Dot(replica: ann, seq: 1)]))
        chunk.keys = [KeyPosition(id: MessageID(high: 1, low: 1), position: entry.position)]
        let update = MemberUpdate(
            replica: nobody, incarnation: 1, state: .alive, from: ann, address: "a:1", name: "n")
        let frames: [PeerFrame] = [
            .hello(
                PeerHello(
                    lowestVersion: 1, highestVersion: 1, cluster: "c", replica: nobody, boot: 1, process: 2, name: "n",
                    address: "a:1", wall: 1, incarnation: 1)),
            .members([update]),
            .probe(number: 1, [update]),
            .entries([entry], wantsStored: false),
            .entries([dependent], wantsStored: false),
            .digest(
                PeerDigest(heads: [HeadDigest(dot: dot, hash: 1)], floors: [], direct: [], presence: [], wall: 1)),
            .digest(PeerDigest(heads: [], floors: [], direct: [nobody], presence: [], wall: 1)),
            .want(EntriesWant(number: 1, ranges: [LogRange(replica: nobody, after: 0, through: 1)], limit: 9)),
            .snapshotChunk(chunk),
            .presenceWant(PresenceWant(owner: nobody, boot: 1)),
        ]
        for frame in frames {
            #expect(PeerFrame.decoded(frame.encoded()) == .failure(.nobodysReplica(number)), "\(frame)")
        }
    }

    @Test("a frame cut short anywhere is refused, or is a shorter frame with its own bytes")
    func truncation() {
        var wrong: [[UInt8]] = []
        var samples = PeerSamples(seed: 2)
        for round in 0..<108 {
            let frame = samples.frame(round % PeerSamples.kindCount)
            let content = frame.content
            for length in 0..<content.count {
                let cut = Array(content[..<length])
                if case .success(let read) = PeerFrame.decoded(body: cut), read.content != cut || read == frame {
                    wrong.append(cut)
                }
            }
        }
        #expect(wrong == [], "seed 2")
    }

    @Test("a frame whose end is known is never taken when it is cut")
    func cutFixedFrames() {
        var taken: [[UInt8]] = []
        var samples = PeerSamples(seed: 3)
        // The kinds that don't end with as many elements as there are bytes for; nor may a hello, which ends earlier where it
        // is an earlier build's.
        for kind in [1, 5, 8, 9, 10, 11, 13, 14, 16] {
            for _ in 0..<20 {
                let content = samples.frame(kind).content
                for length in 0..<content.count {
                    let cut = Array(content[..<length])
                    if case .success = PeerFrame.decoded(body: cut) { taken.append(cut) }
                }
            }
        }
        #expect(taken == [], "seed 3")
    }

    @Test("changed bytes are read as themselves or not at all")
    func mutations() {
        var wrong: [[UInt8]] = []
        var read = 0
        var samples = PeerSamples(seed: 4)
        for round in 0..<8_000 {
            var content = samples.frame(round % PeerSamples.kindCount).content
            for _ in 0...samples.below(3) {
                content[samples.below(content.count)] ^= 1 << UInt8(samples.below(8))
            }
            if samples.below(4) == 0 { content.removeLast(samples.below(content.count)) }
            if samples.below(4) == 0 { content += samples.bytes(3) }
            guard case .success(let frame) = PeerFrame.decoded(body: content) else { continue }
            read += 1
            let again = frame.content
            // A hello and a digest may have more behind them, of which nothing is kept.
            let isSame = frame.isExtensible ? content.starts(with: again) : content == again
            if !isSame { wrong.append(content) }
        }
        #expect(wrong == [], "seed 4")
        #expect(read > 400, "seed 4")
    }

    @Test("what a newer minor version appends is left unread, in a hello and in a digest only")
    func appended() {
        var samples = PeerSamples(seed: 5)
        for kind in 0..<PeerSamples.kindCount {
            let frame = samples.frame(kind)
            let read = PeerFrame.decoded(body: frame.content + [0xFF])
            if frame.isExtensible {
                #expect(read == .success(frame))
            } else {
                #expect(throws: PeerFrameError.self) { try read.get() }
            }
        }
        #expect(PeerFrame.decoded(body: PeerFrame.summary(hash: 1).content + [0]) == .failure(.trailingBytes))
    }

    // MARK: Refusals

    private func refusal(_ digits: String) -> PeerFrameError? {
        guard case .failure(let error) = PeerFrame.decoded(body: hex(digits)) else { return nil }
        return error
    }

    private let ann = "00A1A2A3A4A5A6A7A8"
    private let bob = "00B1B2B3B4B5B6B7B8"

    @Test("kinds that are not known")
    func unknownKinds() {
        #expect(refusal("") == .truncated)
        #expect(refusal("00") == .unknownKind(0))
        #expect(refusal("7F 01") == .unknownKind(127))
        #expect(refusal("80") == .unknownMajor(128))
        #expect(refusal("FF") == .unknownMajor(255))
    }

    @Test("codes, flags and numbers that mean nothing")
    func invalidFields() {
        #expect(refusal("02 00") == .invalidField)
        #expect(refusal("02 08") == .invalidField)
        #expect(refusal("0C \(ann) 01 05 01 00 00") == .invalidField)
        #expect(refusal("10 02") == .invalidField)
        #expect(refusal("0B 8000") == .invalidNumber)
        #expect(refusal("0B FFFFFFFFFFFFFFFFFF02") == .invalidNumber)
        // A hello's lowest version above its highest; a version over 16 bits.
        #expect(refusal("01 02 01 00 \(ann) 00 0000000000000000 00 00 00 00") == .invalidField)
        #expect(refusal("01 01 808004") == .invalidField)
        // A range that ends past the last number there is; a delta that leads there.
        #expect(refusal("14 00 01 \(ann) FFFFFFFFFFFFFFFFFF01 01 00") == .invalidField)
        #expect(refusal("28 \(ann) 00 FFFFFFFFFFFFFFFFFF01 0272 00 00 00") == .invalidField)
        // More sessions than 32 bits.
        #expect(refusal("28 \(ann) 00 00 0272 00 00 8080808010") == .invalidField)
        // A row's lead and a place's tag.
        #expect(refusal("21 00 01 00 00 01 0272 01 00 00 01 08 0000 00 00 00") == .invalidField)
        #expect(refusal("20 00 00 00 00 00 05") == .invalidField)
    }

    @Test("replicas and rooms in another than their shortest form")
    func references() {
        #expect(refusal("09 00 01") == .invalidField)
        #expect(refusal("12 00 00 01 \(ann) 01 01 01 00 00") == nil)
        #expect(refusal("12 00 00 01 \(ann) 01 \(ann) 01 00 00") == .invalidField)
        #expect(refusal("12 00 00 01 \(ann) 01 02 01 00 00") == .invalidField)
        #expect(refusal("28 \(ann) 00 00 00 00 00 00") == .invalidField)
        #expect(refusal("28 \(ann) 00 00 0272 00 00 00 0272 00 00 00") == .invalidField)
    }

    @Test("what a node calls itself has no control character in it; what it has heard of others may")
    func controls() {
        func hello(cluster: Text = "c", name: Text = "n", address: Text = "a:1") -> PeerFrame {
            .hello(
                PeerHello(
                    lowestVersion: 1, highestVersion: 1, cluster: cluster, replica: ReplicaID(rawValue: 1), boot: 1,
                    process: 1, name: name, address: address, wall: 1, incarnation: 0))
        }
        for bad in ["\u{7F}é", "a\n", "\u{1B}[2J", "\u{9B}31m", "\u{2028}"] as [Text] {
            for frame in [hello(cluster: bad), hello(name: bad), hello(address: bad)] {
                #expect(PeerFrame.decoded(frame.encoded()) == .failure(.controlCharacter))
            }
            let heard = PeerFrame.members([
                MemberUpdate(
                    replica: ReplicaID(rawValue: 2), incarnation: 1, state: .alive, from: ReplicaID(rawValue: 2),
                    address: bad, name: bad)
            ])
            #expect(PeerFrame.decoded(heard.encoded()) == .success(heard))
        }
        let fine = hello(cluster: "grün", name: "Knoten №1", address: "[::1]:7946")
        #expect(PeerFrame.decoded(fine.encoded()) == .success(fine))
    }

    @Test("lists that are not sorted, or name something twice")
    func unsorted() {
        let hash = "0000000000000000"
        #expect(refusal("12 02 \(bob) 01 \(hash) \(ann) 01 \(hash) 00 00 00 00") == .unsorted)
        #expect(refusal("12 02 \(ann) 01 \(hash) 01 02 \(hash) 00 00 00 00") == .unsorted)
        #expect(refusal("12 00 02 \(bob) 01 \(ann) 01 00 00 00") == .unsorted)
        #expect(refusal("12 00 01 \(ann) 00 00 00 00") == .invalidField)
        #expect(refusal("12 00 00 02 \(bob) \(ann) 00 00") == .unsorted)
        #expect(refusal("14 00 02 \(ann) 00 01 01 05 01 00") == .unsorted)
        #expect(refusal("20 00 02 \(bob) 01 \(ann) 01 00 00 00 00") == .unsorted)
        let rest = "00 01 \(hash)\(hash) 00"
        #expect(
            refusal("21 00 01 00 00 00 00 00 02 40 \(ann) 02 00 0272 \(hash)\(hash) 00 41 01 \(rest) 00") == .unsorted)
    }

    @Test("a list or a text can't ask for more than the bytes are worth")
    func counts() {
        #expect(refusal("12 FFFFFFFF0F") == .tooMany(0xFFFF_FFFF))
        #expect(refusal("12 FFFF3F") == .truncated)
        #expect(refusal("01 01 01 FFFFFFFFFFFFFFFFFF01") == .truncated)
        #expect(refusal("28 \(ann) 00 00 02") == .truncated)
    }

    @Test("texts are UTF-8 and no longer than their limits")
    func texts() {
        #expect(refusal("0C \(ann) 01 01 01 01FF 00") == .invalidText)
        func update(_ count: Int) -> PeerFrame {
            let replica = ReplicaID(rawValue: 1)
            return .members([
                MemberUpdate(
                    replica: replica, incarnation: 0, state: .alive, from: replica,
                    address: Text(String(repeating: "a", count: count)), name: "")
            ])
        }
        #expect(PeerFrame.decoded(update(256).encoded()) == .success(update(256)))
        #expect(PeerFrame.decoded(update(257).encoded()) == .failure(.textTooLong(257)))
        func seat(room: Int, name: Int) -> PeerFrame {
            .presenceDelta(
                PresenceDelta(
                    owner: ReplicaID(rawValue: 1), boot: 0, from: 0,
                    changes: [
                        Seat(
                            room: Text(String(repeating: "a", count: room)), user: "",
                            displayName: Text(String(repeating: "a", count: name)), sessions: 1)
                    ]))
        }
        #expect(PeerFrame.decoded(seat(room: 4096, name: 4096).encoded()) == .success(seat(room: 4096, name: 4096)))
        #expect(PeerFrame.decoded(seat(room: 4097, name: 0).encoded()) == .failure(.textTooLong(4097)))
        #expect(PeerFrame.decoded(seat(room: 0, name: 4097).encoded()) == .failure(.textTooLong(4097)))
        func place(_ count: Int) -> PeerFrame {
            let id = DocumentID(room: "", kind: .orSet, name: Text(String(repeating: "a", count: count)))
            return .snapshotWant(
                SnapshotWant(
                    number: 0, have: VersionVector(), since: VersionVector(), reached: VersionVector(),
                    after: .document(id), limit: 0))
        }
        #expect(PeerFrame.decoded(place(65_536).encoded()) == .success(place(65_536)))
        #expect(PeerFrame.decoded(place(65_537).encoded()) == .failure(.textTooLong(65_537)))
    }
}

extension PeerFrame {
    /// The frame without its length.
    var content: [UInt8] {
        let bytes = encoded()
        return Array(bytes[(bytes.firstIndex { $0 < 0x80 }! + 1)...])
    }

    var isExtensible: Bool {
        switch self {
        case .hello, .digest: true
        default: false
        }
    }
}

import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire
import Testing

@Suite struct EntryCodecTests {
    private let replica = ReplicaID(rawValue: 0x0102_0304_0506_0708)

    private func entry() -> Entry {
        var entry = Entry(
            dot: Dot(replica: replica, seq: 300), timestamp: HybridTimestamp(rawValue: 0x1112_1314_1516_1718),
            kind: .message, room: "dév", payload: [1, 2, 3])
        entry.dependencies = [
            Dot(replica: ReplicaID(rawValue: 1), seq: 5), Dot(replica: ReplicaID(rawValue: 2), seq: 128),
        ]
        return entry
    }

    private func header(_ entry: Entry) -> [UInt8] {
        var out = ByteBuffer()
        entry.appendHeader(to: &out)
        return out.array()
    }

    private func reading<R>(
        _ bytes: [UInt8], _ read: (inout ByteReader) throws(EntryCodecError) -> R
    ) -> Result<R, EntryCodecError> {
        bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            do throws(EntryCodecError) {
                let value = try read(&reader)
                try reader.finish()
                return .success(value)
            } catch {
                return .failure(error)
            }
        }
    }

    private func decoded<P>(
        _ bytes: [UInt8], _ decode: (UnsafeRawBufferPointer) throws(EntryCodecError) -> P
    ) -> Result<P, EntryCodecError> {
        bytes.withUnsafeBytes { bytes in
            do throws(EntryCodecError) { return .success(try decode(bytes)) } catch { return .failure(error) }
        }
    }

    // MARK: Numbers

    @Test("a number has one form, and only that is read")
    func varints() {
        let known: [(UInt64, [UInt8])] = [
            (0, [0]), (1, [1]), (127, [0x7F]), (128, [0x80, 1]), (300, [0xAC, 2]), (16383, [0xFF, 0x7F]),
            (16384, [0x80, 0x80, 1]), (.max, Array(repeating: 0xFF, count: 9) + [1]),
            (1 << 63, Array(repeating: 0x80, count: 9) + [1]),
        ]
        for (value, bytes) in known {
            var out = ByteBuffer()
            out.appendVarint(value)
            #expect(out.array() == bytes)
            #expect(reading(bytes) { (r) throws(EntryCodecError) in try r.varint() } == .success(value))
        }
        func refused(_ bytes: [UInt8]) -> EntryCodecError? {
            guard case .failure(let error) = reading(bytes, { (r) throws(EntryCodecError) in try r.varint() }) else {
                return nil
            }
            return error
        }
        #expect(refused([]) == .truncated)
        #expect(refused([0x80]) == .truncated)
        #expect(refused([0x80, 0]) == .invalidNumber)
        #expect(refused([0xFF, 0x80, 0]) == .invalidNumber)
        #expect(refused(Array(repeating: 0xFF, count: 9) + [2]) == .invalidNumber)
        #expect(refused(Array(repeating: 0xFF, count: 9) + [0x81, 0]) == .invalidNumber)
        #expect(refused(Array(repeating: 0xFF, count: 20)) == .invalidNumber)
        #expect(refused([1, 1]) == .trailingBytes)
    }

    // MARK: Header

    @Test("the header's bytes, which hashes cover for good")
    func goldenHeader() {
        let golden: [UInt8] =
            [1, 0, 0, 1] + [1, 2, 3, 4, 5, 6, 7, 8] + [0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18] + [0xAC, 2]
            + [2, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0, 0, 0, 2, 0x80, 1] + [4, 0x64, 0xC3, 0xA9, 0x76]
        #expect(header(entry()) == golden)
    }

    @Test("a header is read back, and is the same after the payload is erased")
    func headerRoundTrip() {
        var redacted = entry()
        redacted.flags.insert(.redacted)
        redacted.payload = []
        #expect(header(redacted) == header(entry()))
        var expected = entry()
        expected.payload = []
        expected.hash = .zero
        #expect(reading(header(entry())) { (r) throws(EntryCodecError) in try Entry(header: &r) } == .success(expected))
        var unknown = entry()
        unknown.flags = Entry.Flags(rawValue: 0x40)
        unknown.namespace = 3
        let read = try? reading(header(unknown)) { (r) throws(EntryCodecError) in try Entry(header: &r) }.get()
        #expect(read?.flags == unknown.flags)
        #expect(read?.namespace == 3)
    }

    @Test("a header of another version, cut short or out of shape is an error")
    func badHeaders() {
        let whole = header(entry())
        func error(_ bytes: [UInt8]) -> EntryCodecError? {
            guard case .failure(let error) = reading(bytes, { (r) throws(EntryCodecError) in try Entry(header: &r) })
            else { return nil }
            return error
        }
        #expect((0..<whole.count).filter { error(Array(whole[..<$0])) != .truncated } == [])
        #expect(error([2] + whole.dropFirst()) == .unknownVersion(2))
        var bytes = whole
        bytes[2] = 1
        #expect(error(bytes) == .invalidField)
        bytes = whole
        bytes[whole.count - 1] = 0xFF
        #expect(error(bytes) == .invalidText)
        var numberless = entry()
        numberless.dot.seq = 0
        #expect(error(header(numberless)) == .invalidField)
    }

    private func whole(_ entry: Entry) -> [UInt8] {
        var out = ByteBuffer()
        entry.append(to: &out)
        return out.array()
    }

    private func read(_ bytes: [UInt8]) -> Result<Entry, EntryCodecError> {
        reading(bytes) { (reader) throws(EntryCodecError) in try Entry(decoding: &reader) }
    }

    @Test("a whole entry is its header, its hash, whether it is erased, and its payload")
    func goldenEntry() {
        var entry = entry()
        entry.hash = EntryHash(high: 0xA1A2_A3A4_A5A6_A7A8, low: 0xB1)
        let hash: [UInt8] = [0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0, 0, 0, 0, 0, 0, 0, 0xB1]
        #expect(whole(entry) == header(entry) + hash + [0, 3, 1, 2, 3])
        #expect(read(whole(entry)) == .success(entry))
        entry.flags = [.redacted, Entry.Flags(rawValue: 0x20)]
        entry.kind = EntryKind(rawValue: 200)
        entry.payload = []
        #expect(whole(entry) == header(entry) + hash + [1, 0])
        #expect(read(whole(entry)) == .success(entry))
    }

    @Test("the length that an entry will have is known before it is written")
    func encodedLengths() {
        var random = SplitMix64(seed: 7)
        var wrong: [Entry] = []
        for _ in 0..<500 {
            func number() -> UInt64 {
                UInt64.random(in: 1...UInt64.max, using: &random) >> UInt64.random(in: 0..<64, using: &random) | 1
            }
            var entry = Entry(
                dot: Dot(replica: replica, seq: number()), timestamp: .zero, kind: .message,
                room: Text(String(repeating: "r", count: Int.random(in: 0...200, using: &random))),
                payload: Array(repeating: 7, count: Int.random(in: 0...20_000, using: &random)))
            for _ in 0..<Int.random(in: 0...200, using: &random) {
                entry.dependencies.append(Dot(replica: replica, seq: number()))
            }
            if whole(entry).count != entry.encodedLength || read(whole(entry)) != .success(entry) {
                wrong.append(entry)
            }
        }
        #expect(wrong == [], "seed 7")
        var limits = entry()
        for seq in [1, 127, 128, 16_383, 16_384, 1 << 62, 1 << 63, .max] as [UInt64] {
            limits.dot.seq = seq
            #expect(whole(limits).count == limits.encodedLength)
        }
    }

    @Test("a whole entry that is cut short, out of shape or too large is an error")
    func badEntries() {
        let bytes = whole(entry())
        #expect((0..<bytes.count).filter { read(Array(bytes[..<$0])) != .failure(.truncated) } == [])
        var changed = bytes
        changed[bytes.count - 5] = 2
        #expect(read(changed) == .failure(.invalidField))
        var large = entry()
        large.payload = Array(repeating: 0, count: Entry.payloadLimit)
        #expect(read(whole(large)) == .success(large))
        large.payload.append(0)
        #expect(read(whole(large)) == .failure(.tooLarge))
        // More dependencies than there are bytes for are refused before there is room made for them.
        #expect(read(Array(bytes[..<22]) + [0xFF, 0xFF, 0xFF, 0xFF, 0x0F] + bytes[23...]) == .failure(.truncated))
    }

    @Test("what is left of an erased payload tells the id that it had")
    func redactedIDs() {
        var shell = entry()
        let digest = [UInt8](repeating: 0xD1, count: 32)
        shell.payload = digest + [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xFF, 2]
        #expect(shell.redactedMessageID == nil)
        shell.flags.insert(.redacted)
        #expect(shell.redactedMessageID == MessageID(high: 1, low: 0xFF02))
        #expect(read(whole(shell)) == .success(shell))
        for other in [digest, [], shell.payload + [0], Array(shell.payload.dropLast())] {
            shell.payload = other
            #expect(shell.redactedMessageID == nil)
        }
    }

    @Test("dependencies are stored as one run of bytes")
    func dependencies() {
        let bytes = entry().encodedDependencies
        #expect(bytes == [2, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0, 0, 0, 2, 0x80, 1])
        func read(_ bytes: [UInt8]) -> Result<[Dot], EntryCodecError> {
            decoded(bytes) { (bytes) throws(EntryCodecError) in try Entry.dependencies(decoding: bytes) }
        }
        #expect(read(bytes) == .success(entry().dependencies))
        #expect(read([]) == .success([]))
        #expect(read(bytes + [0]) == .failure(.trailingBytes))
        #expect(read([0xFF, 0xFF, 0xFF, 0xFF, 0x0F] + bytes) == .failure(.truncated))
    }

    // MARK: Payloads

    @Test("a message's payload")
    func message() {
        let plain = MessagePayload(user: "u", displayName: "Ann", body: Array("hé".utf8))
        #expect(plain.encoded == [1, 0, 1, 0x75, 3, 0x41, 0x6E, 0x6E, 3, 0x68, 0xC3, 0xA9])
        let keyed = MessagePayload(
            id: MessageID(high: 1, low: 0xFF00), user: "u", displayName: "", body: [])
        #expect(
            keyed.encoded == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xFF, 0, 1, 0x75, 0, 0])
        for payload in [plain, keyed] {
            #expect(
                decoded(payload.encoded) { (b) throws(EntryCodecError) in try MessagePayload(decoding: b) }
                    == .success(payload))
        }
    }

    @Test("a system event's payload")
    func system() {
        let joined = SystemPayload(event: .joined, user: "u", displayName: "Ann")
        #expect(joined.encoded == [1, 0, 1, 1, 0x75, 3, 0x41, 0x6E, 0x6E])
        let left = SystemPayload(event: .left, id: MessageID(high: 2, low: 3), user: "", displayName: "é")
        #expect(
            left.encoded == [1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 2, 0xC3, 0xA9])
        let numbered = SystemPayload(
            event: .joined, id: MessageID(high: 2, low: 3), user: "u", displayName: "", number: 301)
        #expect(
            numbered.encoded
                == [1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0xAD, 2, 1, 0x75, 0])
        for payload in [joined, left, numbered] {
            #expect(
                decoded(payload.encoded) { (b) throws(EntryCodecError) in try SystemPayload(decoding: b) }
                    == .success(payload))
        }
    }

    @Test("a number of 0, or more than is known before an event, is no system event")
    func badSystem() {
        func error(_ bytes: [UInt8]) -> EntryCodecError? {
            guard
                case .failure(let error) = decoded(
                    bytes, { (b) throws(EntryCodecError) in try SystemPayload(decoding: b) })
            else { return nil }
            return error
        }
        let id = [UInt8](repeating: 9, count: 16)
        #expect(error([1, 2, 1] + id + [1, 0, 0]) == nil)
        #expect(error([1, 2, 1] + id + [0, 0, 0]) == .invalidField)
        #expect(error([1, 3, 1] + id + [1, 0, 0]) == .invalidField)
        #expect(error([1, 2, 3] + id + [1, 0, 0]) == .invalidField)
    }

    @Test("a redaction's payload names the entry to be erased")
    func redaction() {
        let payload = RedactionPayload(target: Dot(replica: replica, seq: 300))
        #expect(payload.encoded == [1, 1, 2, 3, 4, 5, 6, 7, 8, 0xAC, 2])
        func read(_ bytes: [UInt8]) -> Result<RedactionPayload, EntryCodecError> {
            decoded(bytes) { (bytes) throws(EntryCodecError) in try RedactionPayload(decoding: bytes) }
        }
        #expect(read(payload.encoded) == .success(payload))
        #expect((1..<11).filter { read(Array(payload.encoded[..<$0])) != .failure(.truncated) } == [])
        #expect(read(payload.encoded + [0]) == .failure(.trailingBytes))
        #expect(read([2] + payload.encoded.dropFirst()) == .failure(.unknownVersion(2)))
        #expect(read([1, 1, 2, 3, 4, 5, 6, 7, 8, 0]) == .failure(.invalidField))
    }

    private func document(_ delta: DocumentDelta) -> DocumentPayload {
        DocumentPayload(name: "d", user: "u", displayName: "n", delta: delta)
    }

    @Test("a document's payload")
    func documents() {
        let names: [UInt8] = [1, 0x64, 1, 0x75, 1, 0x6E]
        let dots = [Dot(replica: replica, seq: 9)]
        let known: [(DocumentDelta, [UInt8])] = [
            (.add(element: "x", replacing: []), [1, 1] + names + [1, 0x78, 0]),
            (.add(element: "x", replacing: dots), [1, 1] + names + [1, 0x78, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (.remove(element: "", observed: dots), [1, 2] + names + [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (.set(value: "v"), [1, 3] + names + [1, 0x76]), (.set(value: ""), [1, 3] + names + [0]),
            (.set(value: nil), [1, 4] + names),
            (.count(amount: 0, totals: CounterTotals()), [1, 5] + names + [0, 0, 0]),
            (.count(amount: 5, totals: CounterTotals(up: 300, down: 2)), [1, 5] + names + [10, 0xAC, 2, 2]),
            (.count(amount: -64, totals: CounterTotals(up: 0, down: 64)), [1, 5] + names + [127, 0, 64]),
            (
                .count(amount: -1 << 53, totals: CounterTotals(up: 1 << 62, down: 1 << 62)),
                [1, 5] + names + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F]
                    + Array(repeating: Array(repeating: 0x80, count: 8) + [0x40], count: 2).flatMap { $0 }
            ),
        ]
        for (delta, bytes) in known {
            #expect(document(delta).encoded == bytes)
            #expect(
                decoded(bytes) { (b) throws(EntryCodecError) in try DocumentPayload(decoding: b) }
                    == .success(document(delta)))
        }
    }

    @Test("what a newer build wrote is known for unknown; what is broken is not")
    func unknown() {
        func error(_ bytes: [UInt8]) -> EntryCodecError? {
            guard
                case .failure(let error) = decoded(
                    bytes, { (b) throws(EntryCodecError) in try DocumentPayload(decoding: b) })
            else { return nil }
            return error
        }
        #expect(error([2, 1]) == .unknownVersion(2))
        #expect(error([1, 7, 1, 0x64]) == .unknownDelta(7))
        // Of a kind that a newer build has: what is behind it is for that to know.
        #expect(error([1, 6, 0, 0, 0, 200, 1]) == .unknownDelta(200))
        #expect(error([1, 6, 0, 0, 0, 1, 1]) == .invalidField)
        #expect(error([]) == .truncated)
        #expect(error([1, 4, 0, 0, 0, 0]) == .trailingBytes)
        #expect(error([1, 4, 1, 0xFF, 0, 0]) == .invalidText)
        #expect(error([1, 5, 0, 0, 0, 2, 1]) == .truncated)
        #expect(error([1, 5, 0, 0, 0, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0, 0]) == .invalidField)
        let tooMuch = [UInt8](repeating: 0x81, count: 1) + [UInt8](repeating: 0x80, count: 7) + [0x40]
        #expect(error([1, 5, 0, 0, 0, 0] + tooMuch + [0]) == .invalidField)
        #expect(error([1, 5, 0, 0, 0, 0, 0] + tooMuch) == .invalidField)
        #expect(EntryCodecError.unknownDelta(6).isUnknown && EntryCodecError.unknownVersion(2).isUnknown)
        #expect(!EntryCodecError.truncated.isUnknown && !EntryCodecError.invalidText.isUnknown)
    }

    @Test("changed or cut bytes are read as themselves or not at all")
    func mutations() {
        var random = SplitMix64(seed: 13)
        let dots = (1...3).map { Dot(replica: replica, seq: UInt64($0) * 1000) }
        let wholes = [
            MessagePayload(id: MessageID(high: 1, low: 2), user: "user", displayName: "Ann", body: Array("hello".utf8))
                .encoded,
            SystemPayload(event: .left, user: "user", displayName: "Ann").encoded,
            document(.remove(element: "element", observed: dots)).encoded, header(entry()),
            document(.count(amount: -300, totals: CounterTotals(up: 5, down: 70_000))).encoded, whole(entry()),
            SystemPayload(event: .left, id: MessageID(high: 1, low: 2), user: "user", displayName: "Ann", number: 300)
                .encoded, RedactionPayload(target: dots[2]).encoded,
        ]
        var wrong: [[UInt8]] = []
        for round in 0..<20_000 {
            var bytes = wholes[round % 8]
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if round % 3 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
            let again: [UInt8]?
            switch round % 8 {
            case 0:
                again = try? decoded(bytes) { (b) throws(EntryCodecError) in try MessagePayload(decoding: b) }.get()
                    .encoded
            case 1, 6:
                again = try? decoded(bytes) { (b) throws(EntryCodecError) in try SystemPayload(decoding: b) }.get()
                    .encoded
            case 2, 4:
                again = try? decoded(bytes) { (b) throws(EntryCodecError) in try DocumentPayload(decoding: b) }.get()
                    .encoded
            case 5:
                again = (try? read(bytes).get()).map(whole)
            case 7:
                again = try? decoded(bytes) { (b) throws(EntryCodecError) in try RedactionPayload(decoding: b) }.get()
                    .encoded
            default:
                again = try? header(reading(bytes) { (r) throws(EntryCodecError) in try Entry(header: &r) }.get())
            }
            if let again, again != bytes { wrong.append(bytes) }
        }
        #expect(wrong == [], "seed 13")
    }
}

import ConvergeTestSupport
import ConvergeCRDT
import Testing

@Suite struct BinaryFormTests {
    private let a = ReplicaID(rawValue: 0x0102_0304_0506_0708)
    private let b = ReplicaID(rawValue: 0xF000_0000_0000_0001)

    private func dot(_ replica: ReplicaID, _ seq: UInt64) -> Dot { Dot(replica: replica, seq: seq) }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.filter { $0 != " " }.map { UInt8($0.hexDigitValue!) }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// The first way in which `value` is not read back, or anything but its bytes is read; nil where all is well.
    ///
    /// Bytes that were changed at random must be refused, or be the one form of the value that they are read as.
    private func fault<Value: BinaryForm & Equatable>(
        of value: Value, flips: Int, using random: inout SplitMix64
    ) -> String? {
        let bytes = value.encoded()
        do throws(BinaryError) {
            guard try Value(decoding: bytes) == value else { return "\(hex(bytes)) is read as another value" }
        } catch { return "\(hex(bytes)): \(error)" }
        // All lengths of what is short, and some of what is long.
        let step = max(1, bytes.count / 250)
        for count in stride(from: 0, to: bytes.count, by: step)
        where (try? Value(decoding: Array(bytes[..<count]))) != nil {
            return "\(hex(bytes)) is read from its first \(count) bytes"
        }
        for more in [UInt8(0), 1, 0xFF] where (try? Value(decoding: bytes + [more])) != nil {
            return "\(hex(bytes)) is read with \(more) behind it"
        }
        for _ in 0..<flips {
            var changed = bytes
            for _ in 0...random.below(3) {
                let at = random.below(changed.count)
                switch random.below(4) {
                case 0: changed[at] = UInt8(random.below(256))
                case 1: changed[at] ^= 1 << UInt8(random.below(8))
                case 2: changed.insert(UInt8(random.below(4)), at: at)
                default: if changed.count > 1 { changed.remove(at: at) }
                }
            }
            if let read = try? Value(decoding: changed), read.encoded() != changed {
                return "\(hex(changed)) is read, but written as \(hex(read.encoded()))"
            }
        }
        return nil
    }

    /// Checks the bytes of `value` and its decoder; returns what is wrong.
    private func check<Value: BinaryForm & Equatable>(_ value: Value, _ golden: String) -> String? {
        if value.encoded() != bytes(golden) { return "\(Value.self): \(hex(value.encoded())) instead of \(golden)" }
        var random = SplitMix64(seed: UInt64(Value.kind))
        return fault(of: value, flips: 400, using: &random).map { "\(Value.self): \($0)" }
    }

    @Test("names, clocks and contexts have the bytes they always had")
    func clocks() {
        var gap = CausalContext(VersionVector([dot(a, 3), dot(b, 300)]))
        gap.insert(dot(a, 5))
        gap.insert(dot(b, 302))
        let faults = [
            check(a, "01 01 00 0102030405060708"),
            check(dot(a, 300), "01 02 00 0102030405060708 ac02"),
            check(VersionVector(), "01 03 00"),
            check(VersionVector([dot(b, 1), dot(a, 128)]), "01 03 02 00 0102030405060708 8001 01 f000000000000001 01"),
            check(CausalContext(), "01 04 00 00"),
            check(gap, "01 04 02 00 0102030405060708 03 01 f000000000000001 ac02  02 00 05 01 ae02"),
            check(HybridTimestamp(milliseconds: 0x0123_4567_89AB, counter: 7), "01 05 0123456789ab 0007"),
        ]
        #expect(faults.compactMap { $0 } == [])
    }

    @Test("registers and counters have the bytes they always had")
    func registers() {
        let stamp = LWWStamp(timestamp: HybridTimestamp(milliseconds: 1, counter: 2), replica: a)
        var grown = GCounter()
        grown.increment(by: 5, of: a)
        grown.increment(by: .max, of: b)
        var both = PNCounter()
        both.add(3, of: a)
        both.add(-1, of: a)
        var register = MVRegister<String>()
        let written = register.set("né", dot: dot(a, 1))
        register.merge(MVRegister<String>().set("", at: dot(b, 2)))
        var counter = ResettableCounter()
        counter.add(-2, dot: dot(a, 1))
        let folded = [counter.add(64, dot: dot(a, 2)), counter.fold(dot: dot(a, 3))]
        var observed = Observed<LWWRegister<Bool>>()
        observed.put(LWWRegister(true, stamp: stamp), dot: dot(a, 1))
        let faults = [
            check(LWWRegister<String>(), "01 06 00"),
            check(LWWRegister<String>(nil, stamp: stamp), "01 06 01 0000000000010002 00 0102030405060708"),
            check(LWWRegister("x", stamp: stamp), "01 06 02 0000000000010002 00 0102030405060708 01 78"),
            check(
                grown,
                "01 07 02 00 0102030405060708 05 01 f000000000000001 ffffffffffffffffff01"),
            check(both, "01 08 01 00 0102030405060708 03 01 00 01"),
            check(register, "01 0c 01 00 0102030405060708 01 01 01 f000000000000001 02  02 00 01 03 6ec3a9 01 02 00"),
            check(written, "01 0b 01 00 0102030405060708 01 03 6ec3a9 00"),
            check(counter, "01 0d 01 00 0102030405060708 03 00  01 00 03 7c"),
            check(folded[1], "01 0b 01 00 0102030405060708 03 7c  02 00 01 00 02"),
            check(
                observed, "01 0e 01 00 0102030405060708 01 00  01 00 01 02 0000000000010002 00 01"),
        ]
        #expect(faults.compactMap { $0 } == [])
    }

    @Test("sets and maps have the bytes they always had")
    func sets() {
        var set = ORSet<String>()
        var other = ORSet<String>()
        let added = set.add("milk", dot: dot(a, 1))
        let again = other.add("milk", dot: dot(b, 1))
        set.add("bread", dot: dot(a, 2))
        set.add("tea", dot: dot(a, 3))
        let removed = set.remove("tea")
        set.merge(again)
        var numbers = ORSet<Int>()
        for number in [-1, 300, 0, 5] { numbers.add(number, dot: dot(a, UInt64(numbers.count + 1))) }
        var named = ORSet<ReplicaID>()
        named.add(b, dot: dot(a, 1))
        var map = ORMap<String, ORSet<[UInt8]>>()
        let listed = map.update("food") { $0.add([7, 8], dot: dot(a, 1)) }
        map.update("food") { $0.add([], dot: dot(a, 2)) }
        let dropped = map.remove("food")
        map.merge(map.update("a") { $0.add([1], dot: dot(b, 1)) })
        var nested = ORMap<UInt8, ORMap<String, MVRegister<Bool>>>()
        let deep = nested.update(200) { $0.update("x") { $0.set(true, dot: dot(a, 1)) } }
        let faults = [
            check(ORSet<Int>(), "01 09 00 00 00"),
            check(
                set,
                "01 09 02 00 0102030405060708 03 01 f000000000000001 01 00"
                    + "02 04 6d696c6b 02 00 01 01 01  05 6272656164 01 00 02"),
            check(ORSet<String>.Delta(), "01 0a 00"),
            check(added, "01 0a 01 04 6d696c6b 01 00 0102030405060708 01 00"),
            check(removed, "01 0a 01 03 746561 00 01 00 0102030405060708 03"),
            check(
                removed.merged(with: added),
                "01 0a 02 03 746561 00 01 00 0102030405060708 03  04 6d696c6b 01 00 01 00"),
            check(numbers, "01 09 01 00 0102030405060708 04 00  04 00 01 00 03 01 01 00 01 0a 01 00 04 d804 01 00 02"),
            // An element names its replicas for itself.
            check(named, "01 09 01 00 0102030405060708 01 00  01 00 f000000000000001 01 00 01"),
            check(
                map, "01 0f 02 00 0102030405060708 02 01 f000000000000001 01 00  01 01 61 01 01 01 01 01 01"),
            check(listed, "01 10 01 04 666f6f64 01 02 0708 01 00 0102030405060708 01 00"),
            check(dropped, "01 10 01 04 666f6f64 02 00 00 01 00 0102030405060708 02  02 0708 00 01 00 01"),
            check(nested, "01 0f 01 00 0102030405060708 01 00  01 c801 01 01 78 01 00 01 01"),
            check(deep, "01 10 01 c801 01 01 78 01 00 0102030405060708 01 01 00"),
        ]
        #expect(faults.compactMap { $0 } == [])
    }

    @Test("equal sets that came about otherwise have equal bytes", arguments: UInt64(300)..<304)
    func canonical(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var deltas: [ORSet<String>.Delta] = []
        var set = ORSet<String>()
        for seq in UInt64(1)...150 { deltas.append(set.add("element \(random.below(80))", dot: dot(a, seq))) }
        var other = ORSet<String>()
        for delta in deltas.shuffled(using: &random) { other.merge(delta) }
        #expect(other == set && other.encoded() == set.encoded(), "seed \(seed)")
        #expect(fault(of: set, flips: 10, using: &random) == nil, "seed \(seed)")
        let joined = deltas.shuffled(using: &random).reduce(ORSet.Delta()) { $0.merged(with: $1) }
        #expect(fault(of: joined, flips: 10, using: &random) == nil, "seed \(seed)")
    }

    @Test("sets hold what the model says, also as bytes, through random histories", arguments: UInt64(310)..<320)
    func histories(seed: UInt64) {
        let broken = brokenHistory(
            seed: seed,
            change: { (state: inout ORSet<Int>, dot, _, random) in
                let element = random.below(6) - 3
                switch random.below(10) {
                case 0..<6: return Change(delta: state.add(element, dot: dot), item: element) { $0 == element }
                case 6..<9: return Change(delta: state.remove(element), item: nil) { $0 == element }
                default: return Change(delta: state.clear(), item: nil) { _ in true }
                }
            },
            agrees: { Set($0.values) == Set($1.keys) })
        #expect(broken == nil, "seed \(seed)")
    }

    @Test("numbers of every size are read back, and none that is too large for its type")
    func numbers() throws {
        for value in [Int64.min, -65, -64, -1, 0, 1, 63, 64, .max] {
            var writer = BinaryWriter()
            value.encode(into: &writer)
            var reader = BinaryReader(writer.bytes)
            #expect(try Int64(from: &reader) == value && reader.remaining == 0)
            if value != Int64(Int8(truncatingIfNeeded: value)) {
                var narrow = BinaryReader(writer.bytes)
                #expect(throws: BinaryError.outOfRange) { try Int8(from: &narrow) }
            }
        }
        var writer = BinaryWriter()
        UInt64.max.encode(into: &writer)
        #expect(writer.bytes.count == 10)
        var reader = BinaryReader(writer.bytes)
        #expect(try UInt64(from: &reader) == .max)
    }

    /// Why `hex` is not read; nil where it is.
    private func error<Value: BinaryForm>(_ type: Value.Type, _ hex: String) -> BinaryError? {
        let read = Result { () throws(BinaryError) in try Value(decoding: bytes(hex)) }
        if case .failure(let error) = read { return error }
        return nil
    }

    @Test("says why bytes are not a value")
    func refusals() {
        typealias Lists = ORMap<Int, ORSet<Int>>
        let replica = "00 0102030405060708"
        #expect(error(VersionVector.self, "") == .truncated)
        #expect(error(VersionVector.self, "02 03 00") == .unknownVersion(2))
        #expect(error(VersionVector.self, "01 04 00") == .wrongKind(4))
        #expect(error(VersionVector.self, "01 03 00 00") == .trailingBytes)
        #expect(error(VersionVector.self, "01 03 01 \(replica) 00") == .outOfRange, "a component of 0")
        #expect(error(VersionVector.self, "01 03 01 \(replica) 8000") == .notCanonical, "a long zero")
        #expect(error(VersionVector.self, "01 03 01 \(replica) ffffffffffffffffff01") == .outOfRange, "no next seq")
        #expect(error(GCounter.self, "01 07 01 \(replica) ffffffffffffffffff03") == .outOfRange, "65 bits")
        #expect(error(VersionVector.self, "01 03 02 \(replica) 01 00 02") == .notCanonical, "a replica twice")
        #expect(error(VersionVector.self, "01 03 02 \(replica) 01 01 0102030405060708 02") == .notCanonical, "renamed")
        #expect(error(VersionVector.self, "01 03 02 \(replica) 01 01 0000000000000000 02") == .notCanonical, "unsorted")
        #expect(error(ReplicaID.self, "01 01 01 0102030405060708") == .outOfRange, "an unknown number")
        #expect(
            error(CausalContext.self, "01 04 01 \(replica) 03 01 00 04") == .notCanonical, "no gap before the cloud")
        #expect(error(CausalContext.self, "01 04 01 \(replica) 03 01 00 02") == .notCanonical, "covered twice")
        #expect(error(CausalContext.self, "01 04 00 01 \(replica) 01") == .notCanonical, "no gap, nothing covered")
        #expect(error(LWWRegister<String>.self, "01 06 03") == .outOfRange)
        #expect(
            error(LWWRegister<String>.self, "01 06 02 0000000000010002 \(replica) 02 c328") == .invalidText, "not UTF-8"
        )
        #expect(
            error(ORSet<Int>.self, "01 09 01 \(replica) 01 00 01 02 01 00 02") == .inconsistent,
            "outside of the context")
        #expect(error(ORSet<Int>.self, "01 09 01 \(replica) 01 00 01 02 00") == .truncated, "room for no dot")
        #expect(error(ORSet<Int>.self, "01 09 01 \(replica) 01 00 01 02 00 00") == .notCanonical, "under no dot")
        #expect(
            error(ORSet<Int>.self, "01 09 01 \(replica) 02 00 02 02 01 00 01 00 01 00 02") == .notCanonical, "unsorted")
        #expect(
            error(ORSet<Int>.self, "01 09 01 \(replica) 02 00 02 02 01 00 01 02 01 00 02") == .notCanonical, "twice")
        #expect(
            error(ORSet<String>.self, "01 09 01 \(replica) 02 00 02 02 c3a9 01 00 01 03 65cc81 01 00 02")
                == .notCanonical,
            "one string in two spellings")
        #expect(error(ORSet<Int>.Delta.self, "01 0a 01 02 00 00") == .truncated, "room for no dot")
        #expect(error(ORSet<Int>.Delta.self, "01 0a 01 02 00 00 00") == .notCanonical, "no dot")
        #expect(
            error(ORSet<Int>.Delta.self, "01 0a 01 02 01 \(replica) 01 01 00 01") == .inconsistent, "standing and gone")
        #expect(error(Lists.self, "01 0f 00 00 01 02 00") == .truncated)
        #expect(error(Lists.self, "01 0f 01 \(replica) 01 00 01 02 00 00 00") == .notCanonical, "a key without a value")
        #expect(error(Lists.Delta.self, "01 10 01 02 00 00 00") == .notCanonical, "a key without a change")
    }

    @Test("a count larger than the bytes can hold makes no room")
    func counts() {
        for type in [3, 4, 7, 9, 10, 11, 12, 13, 15, 16] as [UInt8] {
            let bytes: [UInt8] = [1, type, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]
            let more: [UInt8] = [1, type, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]
            for bytes in [bytes, more] {
                #expect((try? VersionVector(decoding: bytes)) == nil)
                #expect((try? CausalContext(decoding: bytes)) == nil)
                #expect((try? ORSet<String>(decoding: bytes)) == nil)
                #expect((try? ORSet<String>.Delta(decoding: bytes)) == nil)
                #expect((try? MVRegister<String>(decoding: bytes)) == nil)
                #expect((try? MVRegister<String>.Delta(decoding: bytes)) == nil)
                #expect((try? ORMap<String, ORSet<Int>>(decoding: bytes)) == nil)
                #expect((try? ORMap<String, ORSet<Int>>.Delta(decoding: bytes)) == nil)
            }
        }
        var reader = BinaryReader([0xFF, 0xFF, 0xFF, 0xFF, 0x0F])
        #expect(throws: BinaryError.truncated) { try reader.counted() }
    }
}

extension MVRegister {
    /// The delta of one write to a register of its own.
    fileprivate func set(_ value: Value, at dot: Dot) -> Delta {
        var own = self
        return own.set(value, dot: dot)
    }
}

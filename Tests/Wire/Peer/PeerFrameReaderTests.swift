import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire
import Testing

@Suite struct PeerFrameReaderTests {
    /// All that comes out when the pieces go in one by one, and the error at the end, if there is one.
    private func read(
        _ pieces: [[UInt8]], maximumLength: Int = PeerLimits.frame
    ) -> (items: [PeerFrameReader.Item], error: PeerFrameError?) {
        var reader = PeerFrameReader(maximumLength: maximumLength)
        var items: [PeerFrameReader.Item] = []
        for piece in pieces {
            piece.withUnsafeBytes { reader.append($0) }
            do throws(PeerFrameError) {
                while let item = try reader.next() { items.append(item) }
            } catch { return (items, error) }
        }
        return (items, nil)
    }

    @Test("frames come out the same wherever the bytes are cut")
    func cuts() {
        var samples = PeerSamples(seed: 6)
        var wrong: [Int] = []
        for round in 0..<10 {
            var bytes: [UInt8] = []
            var expected: [PeerFrameReader.Item] = []
            for _ in 0..<8 {
                if samples.below(5) == 0 {
                    bytes += [3, 100, 1, 2]
                    expected.append(.unknown(kind: 100))
                } else {
                    let frame = samples.frame(samples.below(PeerSamples.kindCount))
                    bytes += frame.encoded()
                    expected.append(.frame(frame))
                }
            }
            var cuts = SplitMix64(seed: UInt64(round))
            var ways = [Cuts.whole(bytes), Cuts.single(bytes)] + (0..<5).map { _ in Cuts.random(bytes, &cuts) }
            if round < 3 { ways += (1..<bytes.count).map { [Array(bytes[..<$0]), Array(bytes[$0...])] } }
            for way in ways {
                let (items, error) = read(way)
                if items != expected || error != nil { wrong.append(round) }
            }
        }
        #expect(wrong == [], "seed 6")
    }

    @Test("a frame that is too long is refused by its length alone")
    func tooLong() {
        #expect(read([[0x81, 0x20]], maximumLength: 4096).error == .tooLong(4097))
        #expect(read([[0x80, 0x20]], maximumLength: 4096).error == nil)
        #expect(read([[UInt8](repeating: 0xFF, count: 9) + [1]]).error == .tooLong(.max))
        #expect(read([[UInt8](repeating: 0xFF, count: 10)]).error == .invalidNumber)
        #expect(read([[0x80, 0]]).error == .invalidNumber)
        #expect(PeerFrameReader().maximumLength == 4096)
        #expect(PeerLimits.frame == 20 << 20)
    }

    @Test("a larger limit counts for what has come already")
    func raisedLimit() throws {
        let small = PeerFrame.probeNack(number: 1)
        let large = PeerFrame.entries(
            [
                Entry(
                    dot: Dot(replica: ReplicaID(rawValue: 1), seq: 1), timestamp: .zero, kind: .message, room: "r",
                    payload: [UInt8](repeating: 1, count: 100_000))
            ], wantsStored: false)
        var reader = PeerFrameReader()
        (small.encoded() + large.encoded()).withUnsafeBytes { reader.append($0) }
        #expect(try reader.next() == .frame(small))
        reader.maximumLength = PeerLimits.frame
        #expect(try reader.next() == .frame(large))
        #expect(try reader.next() == nil)
        #expect(reader.heldCount == 0)
    }

    @Test("after a bad frame nothing more is read or held, and the frames before it were read")
    func afterError() {
        let good = PeerFrame.summary(hash: 1)
        let bytes = good.encoded() + [1, 200] + good.encoded()
        for pieces in [Cuts.whole(bytes), Cuts.single(bytes)] {
            let (items, error) = read(pieces)
            #expect(items == [.frame(good)])
            #expect(error == .unknownMajor(200))
        }
        var reader = PeerFrameReader()
        bytes.withUnsafeBytes { reader.append($0) }
        _ = try? reader.next()
        #expect(throws: PeerFrameError.unknownMajor(200)) { try reader.next() }
        good.encoded().withUnsafeBytes { reader.append($0) }
        #expect(reader.heldCount == 0)
        #expect(throws: PeerFrameError.unknownMajor(200)) { try reader.next() }
        #expect(read([[0]]).error == .truncated)
    }

    @Test("what a stranger sends slowly is held to its last byte and no more")
    func held() {
        var reader = PeerFrameReader()
        let bytes: [UInt8] = [0x80, 0x20] + [UInt8](repeating: 100, count: 4096)
        for (at, byte) in bytes.enumerated().dropLast() {
            withUnsafeBytes(of: byte) { reader.append($0) }
            #expect((try? reader.next()) == .some(nil))
            if at % 1000 == 0 { #expect(reader.heldCount == at + 1) }
        }
        withUnsafeBytes(of: UInt8(100)) { reader.append($0) }
        #expect((try? reader.next()) == .unknown(kind: 100))
        #expect(reader.heldCount == 0)
    }
}

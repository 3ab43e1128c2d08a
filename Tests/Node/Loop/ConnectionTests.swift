import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire
import Testing

@testable import ConvergeNode

/// What waits for a connection: where its frames begin, whatever has been sent of them.
@Suite("Connection") struct ConnectionTests {
    private func frame(_ length: Int, _ byte: UInt8) -> [UInt8] {
        var frame = ByteBuffer()
        [UInt8](repeating: byte, count: length).withUnsafeBytes { WebSocketFrame.append(.text, $0, to: &frame) }
        return frame.array()
    }

    @Test("a server frame's length is read from its header", arguments: [0, 1, 125, 126, 65_535, 65_536, 70_000])
    func length(_ payload: Int) {
        let bytes = frame(payload, 7)
        #expect(bytes.withUnsafeBytes { WebSocketFrame.serverFrameLength($0) } == bytes.count)
        #expect((bytes + [1, 2, 3]).withUnsafeBytes { WebSocketFrame.serverFrameLength($0) } == bytes.count)
        // Within a header all there is.
        for cut in 0..<min(2, bytes.count) {
            #expect(bytes.prefix(cut).withUnsafeBytes { WebSocketFrame.serverFrameLength($0) } == cut)
        }
    }

    @Test("dropping keeps the rest of the frame that was begun and nothing else, before and after moving to the front")
    func drop() {
        var wrong: [String] = []
        for seed in UInt64(0)..<400 {
            var random = SplitMix64(seed: seed)
            var connection = Connection()
            var ends: [Int] = []
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let length = [0, 1, 60, 125, 126, 300].randomElement(using: &random)!
                connection.waiting.append(frame(length, UInt8.random(in: 0...255, using: &random)))
                connection.waitingFrames += 1
                ends.append(connection.waiting.count)
            }
            let all = connection.waiting.array()
            // Some is sent; perhaps it is moved to the front; then some more.
            var sent = Int.random(in: 0...all.count, using: &random)
            connection.sent = sent
            if random.once(in: 2) {
                connection.compact()
                if connection.waiting.array() != Array(all[sent...]) { wrong.append("seed \(seed): moved wrongly") }
                let more = Int.random(in: 0...connection.backlog, using: &random)
                connection.sent += more
                sent += more
                if random.once(in: 2) { connection.compact() }
            }
            connection.dropWaiting()
            let begun = sent == 0 || ends.contains(sent) ? sent : ends.first { $0 > sent }!
            let rest = Array(connection.waiting.bytes(connection.sent..<connection.waiting.count))
            if rest != Array(all[sent..<begun]) {
                wrong.append("seed \(seed): \(rest.count) bytes kept of \(all.count)")
            }
            if connection.waitingFrames != (begun > sent ? 1 : 0) { wrong.append("seed \(seed): frames") }
        }
        #expect(wrong == [])
    }

    @Test("with the rest of a frame at the front, the boundary tells where the next begins")
    func boundary() {
        var connection = Connection()
        connection.waiting.append([1, 2, 3, 4, 5] + frame(3, 9) + frame(4, 8))
        connection.boundary = 5
        connection.sent = 2
        connection.dropWaiting()
        #expect(connection.waiting.array() == [1, 2, 3, 4, 5] && connection.backlog == 3)
    }

    @Test("when all is sent nothing is kept, not even memory")
    func emptied() {
        var connection = Connection()
        connection.waiting.append(frame(5_000, 1))
        connection.sent = connection.waiting.count
        connection.boundary = 3
        connection.emptied()
        #expect(connection.backlog == 0 && connection.waiting.capacity == 0 && connection.boundary == 0)
    }

    @Test("held frames are kept until there are too many bytes of them, and chosen by their numbers")
    func feed() throws {
        let queue = FeedQueue(Feed(catchingUpFrom: .init()))
        _ = queue.feed.ask(1, at: VersionVector())
        let frames = (0..<4).map { frame(10, UInt8($0)) }
        for frame in frames.prefix(3) { frame.withUnsafeBytes { queue.hold($0, limit: 40) } }
        #expect(queue.ends == [12, 24, 36] && !queue.feed.overflowed && Array(queue[1]) == frames[1])
        queue.keep([0, 2])
        #expect(queue.bytes.array() == frames[0] + frames[2] && Array(queue[1]) == frames[2])
        frames[3].withUnsafeBytes { queue.hold($0, limit: 36) }
        #expect(queue.ends == [12, 24, 36])
        frames[3].withUnsafeBytes { queue.hold($0, limit: 36) }
        #expect(queue.feed.overflowed && queue.bytes.isEmpty && queue.ends.isEmpty)
    }
}

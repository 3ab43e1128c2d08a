import ConvergeTestSupport
import ConvergeWire
import Testing

@testable import ConvergeNode

/// What waits for a client: where it may be cut, whatever the bytes are and whatever of them has left.
@Suite("Outgoing queue") struct OutgoingQueueTests {
    private func piece(_ length: Int, _ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: length) }

    @Test("what was begun is kept whole and nothing else, before and after moving to the front")
    func drop() {
        var wrong: [String] = []
        var cutFrames = 0
        for seed in UInt64(0)..<2_000 {
            var random = SplitMix64(seed: seed)
            var queue = OutgoingQueue()
            var ends: [Int] = []
            var all: [UInt8] = []
            for _ in 0..<Int.random(in: 1...9, using: &random) {
                // Longer than a group, so that each is one of its own; any bytes, such as a length of 2^63 in a frame.
                let length = Int.random(
                    in: OutgoingQueue.groupLimit + 1...OutgoingQueue.groupLimit + 300, using: &random)
                let bytes = piece(length, [0x7F, 0xFF, 0x7E, 0x20].randomElement(using: &random)!)
                bytes.withUnsafeBytes { queue.append($0) }
                all += bytes
                ends.append(all.count)
            }
            if queue.frames != ends.count || queue.groupCount != ends.count { wrong.append("seed \(seed): count") }
            // Some of it leaves, in several sends; in between it is moved to the front, or not.
            var sent = 0
            for _ in 0..<3 {
                let more = Int.random(in: 0...queue.count, using: &random)
                queue.leave(more)
                sent += more
                if random.once(in: 2) {
                    queue.compact()
                    if Array(queue.bytes) != Array(all[sent...]) { wrong.append("seed \(seed): moved wrongly") }
                }
            }
            if queue.frames != ends.count(where: { $0 > sent }) { wrong.append("seed \(seed): \(queue.frames) frames") }
            queue.drop()
            let begun = sent == 0 || ends.contains(sent) ? sent : ends.first { $0 > sent }!
            if begun > sent { cutFrames += 1 }
            if Array(queue.bytes) != Array(all[sent..<begun]) {
                wrong.append("seed \(seed): \(queue.count) bytes kept")
            }
            if queue.frames != (begun > sent ? 1 : 0) { wrong.append("seed \(seed): frames after") }
            // What comes then stands behind it, and can be dropped in its turn.
            ([1, 2, 3] as [UInt8]).withUnsafeBytes { queue.append($0) }
            queue.drop()
            if Array(queue.bytes) != Array(all[sent..<begun]) { wrong.append("seed \(seed): what came later") }
        }
        #expect(wrong == [])
        #expect(cutFrames > 1_000)
    }

    @Test("short pieces cost little beside their bytes, and are kept or dropped together")
    func groups() {
        var queue = OutgoingQueue()
        for _ in 0..<10_000 { ([0x8A, 0] as [UInt8]).withUnsafeBytes { queue.append($0) } }
        #expect(queue.frames == 10_000 && queue.count == 20_000)
        #expect(queue.groupCount <= 20_000 / (OutgoingQueue.groupLimit / 2))
        queue.leave(3)
        queue.drop()
        #expect(queue.count == OutgoingQueue.groupLimit - 3)
        // One that has begun to leave takes nothing more.
        ([7] as [UInt8]).withUnsafeBytes { queue.append($0) }
        queue.drop()
        #expect(queue.count == OutgoingQueue.groupLimit - 3 && queue.bytes.allSatisfy { $0 != 7 })
    }

    @Test("what is to be kept is never dropped, and what stands behind it is")
    func keep() {
        var queue = OutgoingQueue()
        queue.append(frames: 0) { $0.append("HTTP/1.1 101 Switching Protocols\r\n\r\n") }
        queue.keep()
        ([1, 2, 3] as [UInt8]).withUnsafeBytes { queue.append($0) }
        #expect(queue.frames == 1)
        queue.drop()
        #expect(String(decoding: queue.bytes, as: UTF8.self) == "HTTP/1.1 101 Switching Protocols\r\n\r\n")
        queue.leave(10)
        queue.compact()
        ([4, 5] as [UInt8]).withUnsafeBytes { queue.append($0) }
        queue.drop()
        #expect(String(decoding: queue.bytes, as: UTF8.self) == "01 Switching Protocols\r\n\r\n")
    }

    @Test("the rest of a frame whose beginning left directly is kept, and the whole ones behind it are not")
    func run() {
        var turn = TurnFrames()
        for length in [600, 700, 800] {
            turn.bytes.append(piece(length, UInt8(length / 100)))
            turn.frames.append((turn.bytes.count, nil))
        }
        #expect(turn.end(around: 0) == nil && turn.end(around: 600) == nil && turn.end(around: 2_100) == nil)
        #expect(turn.end(around: 1) == 600 && turn.end(around: 1_299) == 1_300)
        var queue = OutgoingQueue()
        queue.append(turn, from: 650, to: turn.bytes.count)
        #expect(queue.count == 2_100 - 650 && queue.frames == 2)
        queue.drop()
        #expect(Array(queue.bytes) == piece(650, 7) && queue.frames == 1)
        // Between two frames nothing has been begun.
        var other = OutgoingQueue()
        other.append(turn, from: 1_300, to: turn.bytes.count)
        #expect(other.frames == 1)
        other.drop()
        #expect(other.isEmpty && other.frames == 0)
    }

    @Test("when all has left nothing is kept, not even memory")
    func emptied() {
        var queue = OutgoingQueue()
        piece(5_000, 1).withUnsafeBytes { queue.append($0) }
        queue.keep()
        queue.leave(5_000)
        #expect(queue.isEmpty && queue.frames == 0)
        queue.removeAll()
        #expect(queue.capacity == 0 && queue.sentCount == 0 && queue.groupCount == 0)
        ([1] as [UInt8]).withUnsafeBytes { queue.append($0) }
        queue.drop()
        #expect(queue.count == 0)
    }

    @Test("a piece of nothing is none")
    func nothing() {
        var queue = OutgoingQueue()
        queue.append { _ in }
        #expect(queue.frames == 0 && queue.groupCount == 0)
        ([1] as [UInt8]).withUnsafeBytes { queue.append($0) }
        queue.append { _ in }
        #expect(queue.frames == 1 && queue.groupCount == 1)
    }
}

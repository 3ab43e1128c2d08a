import Testing

@testable import ConvergeNode

@Suite("LinkQueue")
struct LinkQueueTests {
    @Test("live frames leave before bulk, each kind in its order")
    func order() {
        var queue = LinkQueue()
        for (byte, isBulk) in [(1, true), (2, false), (3, true), (4, false)] as [(UInt8, Bool)] {
            let isTaken = queue.append([byte], bulk: isBulk)
            #expect(isTaken)
        }
        var left: [UInt8] = []
        while let frame = queue.next() { left += frame }
        #expect(left == [2, 4, 1, 3])
        #expect(queue.isEmpty)
        #expect(queue.byteCount == 0)
    }

    @Test("a frame past the limit of its kind is not taken, and the other kind has its own")
    func limits() {
        var queue = LinkQueue()
        let piece = [UInt8](repeating: 0, count: 1 << 20)
        var taken = 0
        for _ in 0..<64 where queue.append(piece, bulk: false) { taken += 1 }
        #expect(taken == LinkQueue.liveLimit >> 20)
        let isBulkTaken = queue.append(piece, bulk: true)
        #expect(isBulkTaken)
        #expect(queue.byteCount == LinkQueue.liveLimit + piece.count)
        _ = queue.next()
        let again = [queue.append(piece, bulk: false), queue.append(piece, bulk: false)]
        #expect(again == [true, false])
    }

    @Test("what has left is forgotten, however long the queue lives")
    func longLife() {
        var queue = LinkQueue()
        var expected: UInt64 = 0
        var wrong = 0
        for number in UInt64(0)..<20_000 {
            if !queue.append(withUnsafeBytes(of: number) { Array($0) }, bulk: false) { wrong += 1 }
            guard number % 3 != 0, let frame = queue.next() else { continue }
            if frame != withUnsafeBytes(of: expected, { Array($0) }) { wrong += 1 }
            expected += 1
        }
        while let frame = queue.next() {
            if frame != withUnsafeBytes(of: expected, { Array($0) }) { wrong += 1 }
            expected += 1
        }
        #expect(wrong == 0)
        #expect(expected == 20_000)
    }
}

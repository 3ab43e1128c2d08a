import ConvergeTransport
import Synchronization
import Testing

@Suite("WorkQueue") struct WorkQueueTests {
    @Test("work is taken in the order in which it was put, also past the point where memory is given back")
    func order() {
        let queue = WorkQueue<Int>(capacity: 10_000)
        var taken: [Int] = []
        var refused = 0
        for number in 0..<6_000 {
            if !queue.put(number) { refused += 1 }
            if number % 3 == 2, let work = queue.take() { taken.append(work) }
        }
        queue.close()
        while let work = queue.take() { taken.append(work) }
        #expect(taken == Array(0..<6_000) && refused == 0)
    }

    @Test("a full queue refuses, and takes again when one is gone")
    func bound() {
        let queue = WorkQueue<Int>(capacity: 2)
        #expect(queue.put(1) && queue.put(2) && !queue.put(3))
        #expect(queue.depth == 2)
        #expect(queue.take() == 1)
        #expect(queue.put(4))
        #expect(queue.take() == 2)
        #expect(queue.take() == 4)
    }

    @Test("a closed queue gives out what it has, takes nothing more, and ends")
    func closed() {
        let queue = WorkQueue<Int>(capacity: 4)
        #expect(queue.put(1))
        queue.close()
        #expect(queue.isClosed && !queue.put(2))
        #expect(queue.take() == 1)
        #expect(queue.take() == nil)
        #expect(queue.take() == nil)
    }

    @Test("a pause ends by its time, and at once where the queue is closed")
    func pause() throws {
        let queue = WorkQueue<Int>(capacity: 4)
        let began = SystemClock.monotonic()
        #expect(!queue.pause(.milliseconds(20)))
        #expect(SystemClock.monotonic() - began >= 20_000_000)
        try WorkerThread(name: "closer") { queue.close() }.join()
        #expect(queue.pause(.seconds(3_600)))
    }

    @Test("closing wakes whoever pauses or waits for work")
    func wakes() throws {
        let queue = WorkQueue<Int>(capacity: 4)
        let waiting = Atomic<Int>(0)
        let pausing = try WorkerThread(name: "pausing") {
            waiting.add(1, ordering: .relaxed)
            _ = queue.pause(.seconds(3_600))
        }
        let taking = try WorkerThread(name: "taking") {
            waiting.add(1, ordering: .relaxed)
            _ = queue.take()
        }
        while waiting.load(ordering: .relaxed) < 2 {}
        queue.close()
        pausing.join()
        taking.join()
    }

    @Test("several workers take each piece of work once")
    func workers() throws {
        let queue = WorkQueue<Int>(capacity: 100_000)
        let sum = Atomic<Int>(0)
        let count = Atomic<Int>(0)
        let body: @Sendable () -> Void = {
            while let work = queue.take() {
                sum.add(work, ordering: .relaxed)
                count.add(1, ordering: .relaxed)
            }
        }
        let first = try WorkerThread(name: "worker", body: body)
        let second = try WorkerThread(name: "worker", body: body)
        var refused = 0
        for number in 1...20_000 where !queue.put(number) { refused += 1 }
        queue.close()
        first.join()
        second.join()
        #expect(refused == 0)
        #expect(count.load(ordering: .relaxed) == 20_000)
        #expect(sum.load(ordering: .relaxed) == 20_000 * 20_001 / 2)
    }
}

import Synchronization
import Testing

@testable import ConvergeClient

@Suite("Handing events to tasks")
struct EventQueueTests {
    @Test func `what is put is taken once, in order, and then comes the end`() async {
        let queue = EventQueue<Int>()
        queue.put([1, 2])
        let taker = Task {
            var taken: [Int] = []
            for await number in EventStream(queue) { taken.append(number) }
            return taken
        }
        for number in 3...300 { queue.put([number]) }
        queue.end()
        queue.put([0])
        #expect(await taker.value == Array(1...300))
        #expect(await queue.next() == nil)
    }

    @Test func `a batch is all that waits`() async {
        let queue = EventQueue<Int>()
        queue.put([1])
        queue.put([2, 3])
        #expect(await queue.next() == 1)
        #expect(await queue.nextBatch() == [2, 3])
    }

    @Test func `a full queue says so, and calls when there is room`() async {
        let calls = Atomic<Int>(0)
        let queue = EventQueue<Int>(capacity: 2) { calls.add(1, ordering: .relaxed) }
        queue.put([1])
        #expect(!queue.isFull)
        queue.put([2, 3])
        #expect(queue.isFull)
        _ = await queue.next()
        #expect(queue.isFull && calls.load(ordering: .relaxed) == 0)
        _ = await queue.next()
        #expect(!queue.isFull && calls.load(ordering: .relaxed) == 1)
    }

    @Test func `what nobody has asked for is kept up to a bound`() async {
        let queue = EventQueue<Int>(capacity: 3, isWanted: false)
        queue.put([1, 2, 3])
        queue.put([4])
        #expect(!queue.isFull)
        queue.put([5])
        #expect(await queue.next() == 5)
        queue.put([6, 7, 8, 9])
        #expect(queue.isFull)
        #expect(await queue.nextBatch() == [6, 7, 8, 9])
    }

    @Test func `of values only the last is kept`() async {
        let queue = EventQueue<Int>(keepsLatest: true)
        queue.put([1, 2])
        queue.put([3])
        #expect(await queue.next() == 3)
    }

    @Test func `a cancelled task gets the end, and takes nothing from others`() async {
        let queue = EventQueue<Int>()
        let waiting = Task { await queue.next() }
        waiting.cancel()
        #expect(await waiting.value == nil)
        queue.put([1])
        #expect(await queue.next() == 1)
    }

    @Test func `a promise is kept once, to all who wait, and cancelling one tells the others nothing`() async {
        let promise = Promise<Int, SendFailure>()
        let (a, b) = (
            Task { () async -> Result<Int, SendFailure> in
                do throws(SendFailure) { return .success(try await promise.value(orIfCancelled: .cancelled)) } catch {
                    return .failure(error)
                }
            },
            Task { () async -> Result<Int, SendFailure> in
                do throws(SendFailure) { return .success(try await promise.value(orIfCancelled: .cancelled)) } catch {
                    return .failure(error)
                }
            }
        )
        b.cancel()
        #expect(await b.value == .failure(.cancelled))
        promise.resolve(.success(1))
        promise.resolve(.success(2))
        #expect(await a.value == .success(1))
    }
}

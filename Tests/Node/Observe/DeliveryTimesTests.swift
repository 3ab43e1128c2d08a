import Testing

@testable import ConvergeNode

@Suite("Times from receipt to delivery") struct DeliveryTimesTests {
    @Test("a batch counts from the oldest event that came since the batch before it went to the store")
    func oldest() {
        var times = DeliveryTimes()
        times.begin(oldest: 100, outcome: nil)
        times.committed()
        times.end()
        // Two turns while it is on its way: what they bring belongs to the next.
        times.begin(oldest: 150, outcome: nil)
        times.end()
        times.begin(oldest: 140, outcome: .stored)
        #expect(times.handedOut == 100)
        times.committed()
        times.end()
        #expect(times.handedOut == nil)
        times.begin(oldest: 300, outcome: .stored)
        #expect(times.handedOut == 140)
        times.end()
    }

    @Test("what was not stored is not waited for: an idle node's next message does not count from it")
    func idle() {
        var times = DeliveryTimes()
        times.begin(oldest: 100, outcome: nil)
        times.end()
        times.begin(oldest: 9_000, outcome: nil)
        times.committed()
        times.end()
        times.begin(oldest: 9_500, outcome: .stored)
        #expect(times.handedOut == 9_000)
    }

    @Test("a batch that failed is not measured, nor is a turn that hands out replies alone")
    func failed() {
        var times = DeliveryTimes()
        times.begin(oldest: 100, outcome: nil)
        times.committed()
        times.end()
        times.begin(oldest: 200, outcome: .failed)
        #expect(times.handedOut == nil)
        times.end()
        times.begin(oldest: 300, outcome: nil)
        #expect(times.handedOut == nil)
        times.committed()
        times.end()
        times.begin(oldest: nil, outcome: .stored)
        #expect(times.handedOut == 300)
    }
}

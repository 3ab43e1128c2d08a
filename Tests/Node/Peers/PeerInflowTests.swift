import ConvergeTransport
import Testing

@testable import ConvergeNode

@Suite("PeerInflow")
struct PeerInflowTests {
    @Test("reading stops past the limit, and goes on once, when half of it is worked off")
    func stopsAndGoesOn() {
        let inflow = PeerInflow()
        #expect(!inflow.add(PeerInflow.limit))
        #expect(inflow.add(1))
        #expect(!inflow.take(1))
        #expect(!inflow.take(PeerInflow.limit / 2 - 1))
        #expect(inflow.take(1))
        #expect(!inflow.take(PeerInflow.limit / 2))
        #expect(inflow.depth == 0)
    }

    @Test("whatever the two threads do, reading never stays stopped with nothing left to work off")
    func neverStuck() throws {
        let inflow = PeerInflow()
        let passed = try Mailbox<Int>()
        let goOn = try Mailbox<Void>()
        let rounds = 2_000
        let piece = PeerInflow.limit / 3
        let worker = try WorkerThread(name: "core") {
            var taken = 0
            var pieces: [Int] = []
            while taken < rounds {
                passed.drain(into: &pieces)
                for piece in pieces where inflow.take(piece) { goOn.post(()) }
                taken += pieces.count
                pieces.removeAll()
            }
        }
        var isStopped = false
        var stops = 0
        var sent = 0
        var news: [Void] = []
        let deadline = SystemClock.monotonic() + 20_000_000_000
        while sent < rounds, SystemClock.monotonic() < deadline {
            goOn.drain(into: &news)
            if !news.isEmpty { isStopped = false }
            news.removeAll()
            guard !isStopped else { continue }
            // Counted before it is passed on, as the loop does.
            isStopped = inflow.add(piece)
            if isStopped { stops += 1 }
            passed.post(piece)
            sent += 1
        }
        if sent < rounds { for _ in sent..<rounds { passed.post(0) } }
        worker.join()
        #expect(sent == rounds)
        #expect(stops > 0)
    }
}

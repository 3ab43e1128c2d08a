import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeNode

/// What the members of a room are sent when the store has gone back, and when what it lacked comes again.
@Suite struct DeliverySetBackTests {
    private func vector(_ a: UInt64, _ b: UInt64 = 0) -> VersionVector { DeliveryBench.vector(a, b) }
    private func dot(_ seq: UInt64, _ replica: ReplicaID = DeliveryBench.a) -> Dot { DeliveryBench.dot(seq, replica) }

    @Test("what comes back is sent to who has come since and not to who has been sent it, in whatever turn")
    func comesBack() throws {
        for turnEndsEachTime in [false, true] {
            var bench = DeliveryBench()
            func endTurn(_ bench: inout DeliveryBench) {
                bench.delivery.flush(to: &bench.outlet)
                bench.delivery.beginTurn()
            }
            func turn(_ bench: inout DeliveryBench) { if turnEndsEachTime { endTurn(&bench) } }
            bench.show([dot(1), dot(2), dot(3), dot(4)], at: vector(0))
            endTurn(&bench)
            #expect(bench.outlet.takeShown(1) == ["1.1", "1.2", "1.3", "1.4"])

            bench.show([dot(5)], at: vector(4))
            turn(&bench)
            bench.add(.setBack)
            bench.deliver(position: vector(2))
            turn(&bench)
            bench.enter(3, 0)
            bench.deliver(position: vector(2))
            let position = bench.delivery.position
            #expect(position == vector(2))
            let found = (bench.delivery.subscriptions.find(1, in: 0), bench.delivery.subscriptions.find(3, in: 0))
            let (old, young) = (try #require(found.0), try #require(found.1))
            let handed = (bench.delivery.handed(old), bench.delivery.handed(young))
            #expect(handed == (vector(5), vector(2)))
            turn(&bench)
            bench.show([dot(3), dot(4), dot(1, DeliveryBench.b)], at: vector(2))
            turn(&bench)
            bench.show([dot(5), dot(6)], at: vector(4, 1))
            endTurn(&bench)
            #expect(bench.outlet.takeShown(1) == ["1.5", "2.1", "1.6"])
            #expect(bench.outlet.takeShown(3) == ["1.3", "1.4", "2.1", "1.5", "1.6"])
            // All has come again: nobody is looked at any more.
            endTurn(&bench)
            let takenBack = bench.delivery.takenBack
            #expect(takenBack.isEmpty)
        }
    }

    @Test("a fed member keeps none of the frames that were held when its room is to be fed from the store")
    func fedAgain() throws {
        for isSetBack in [false, true] {
            var bench = DeliveryBench()
            let found = bench.delivery.subscriptions.find(1, in: 0)
            let subscription = try #require(found)
            let queue = FeedQueue(Feed(catchingUpFrom: vector(0)))
            _ = queue.feed.ask(1, at: vector(0))
            bench.delivery.goSlow(subscription, queue)
            bench.show([dot(1)], at: vector(0))
            #expect(queue.ends.count == 1 && queue.feed.held.count == 1)
            bench.add(isSetBack ? .setBack : .catchUp(room: 0))
            bench.deliver(position: vector(isSetBack ? 0 : 1))
            #expect(queue.ends.isEmpty && queue.feed.held.isEmpty && queue.feed.overflowed)
        }
    }
}

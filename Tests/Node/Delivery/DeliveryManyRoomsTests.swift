import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Connections of the second generation: many rooms, each with a standing of its own.
@Suite("Delivery: many rooms") struct DeliveryManyRoomsTests {
    private static func vector(_ seq: UInt64) -> VersionVector { DeliveryBench.vector(seq) }

    @Test func `a connection gets the frames of all its rooms, and each generation its own bytes`() {
        var bench = DeliveryBench()
        bench.subscribe(3, 0)
        bench.subscribe(3, 1)
        bench.turn()
        #expect(bench.outlet.takeShown(3) == ["room0: subscribed 1 ", "room1: subscribed 1 "])
        bench.sayToBoth(1)
        bench.sayToBoth(2, in: 1)
        bench.sayToBoth(3)
        bench.turn()
        #expect(bench.outlet.takeShown(1) == ["m1", "m3"])
        // The order is that of each room.
        #expect(bench.outlet.takeShown(3).sorted() == ["c1", "c2", "c3"])
    }

    @Test func `who unsubscribes gets what came before of the room, is told, and then nothing of it`() {
        var bench = DeliveryBench()
        bench.subscribe(3, 0)
        bench.subscribe(3, 1)
        bench.turn()
        _ = bench.outlet.takeShown(3)
        bench.sayToBoth(1)
        bench.unsubscribe(3, 0)
        bench.sayToBoth(2)
        bench.sayToBoth(3, in: 1)
        bench.turn()
        #expect(bench.outlet.takeShown(3) == ["c1", "unsubscribed", "c3"])
    }

    @Test func `rooms are resumed one page each in turn, and a live room goes on meanwhile`() throws {
        var bench = DeliveryBench()
        for room in 0..<3 as Range<UInt32> {
            bench.subscribe(3, room, cursor: room == 2 ? nil : .at(Self.vector(0)))
        }
        bench.turn()
        _ = bench.outlet.takeShown(3)
        var order: [Text] = []
        for seq in 1...4 as ClosedRange<UInt64> {
            let asked = try #require(bench.outlet.takeAsked().first)
            order.append(asked.room)
            bench.sayToBoth(10 + seq, in: 2)
            bench.page(asked, [seq], isLevel: seq > 2)
            bench.turn()
        }
        #expect(Set(order.prefix(2)) == ["room0", "room1"] && Set(order.suffix(2)) == ["room0", "room1"])
        let shown = bench.outlet.takeShown(3)
        #expect(shown.filter { $0.hasPrefix("c") } == ["c11", "c12", "c13", "c14"])
        #expect(shown.filter { $0.contains("resumed true") }.count == 2)
    }

    @Test func `a room that retention has overtaken is left, and the connection's others go on`() throws {
        var bench = DeliveryBench()
        bench.subscribe(3, 0, stay: 7)
        bench.subscribe(3, 1)
        bench.turn()
        _ = bench.outlet.takeShown(3)
        bench.outlet.limits[3] = 0
        bench.sayToBoth(1)
        bench.turn()
        let asked = try #require(bench.outlet.takeAsked().first)
        bench.outlet.limits[3] = nil
        bench.page(asked, [], horizon: Self.vector(1))
        #expect(bench.outlet.takeShown(3) == ["room0: history is gone 7"] && bench.outlet.ended[3] == nil)
        #expect(bench.delivery.counts.overtaken == 1)
        bench.sayToBoth(2)
        bench.sayToBoth(3, in: 1)
        bench.turn()
        #expect(bench.outlet.takeShown(3) == ["c3"])
        // And it may come back.
        bench.subscribe(3, 0, stay: 8, cursor: .at(Self.vector(0)))
        bench.turn()
        #expect(bench.outlet.takeAsked().first?.room == "room0")
    }

    @Test func `subscribing again tells where it stands, and takes nothing away`() throws {
        var bench = DeliveryBench()
        bench.subscribe(3, 0)
        bench.sayToBoth(1)
        bench.subscribe(3, 0, stay: 2)
        bench.sayToBoth(2)
        bench.turn()
        #expect(bench.outlet.takeShown(3) == ["room0: subscribed 1 ", "c1", "room0: subscribed 1 1:1", "c2"])
    }

    @Test func `a session is told where it stands in rooms that it gets live, when something was handed out since`() {
        var bench = DeliveryBench()
        bench.subscribe(3, 0)
        bench.subscribe(3, 1)
        bench.turn()
        _ = bench.outlet.takeShown(3)
        bench.delivery.tellCursors(3, &bench.outlet)
        #expect(bench.outlet.takeShown(3) == [])
        bench.sayToBoth(1)
        bench.deliver()
        bench.delivery.tellCursors(3, &bench.outlet)
        let shown = bench.outlet.takeShown(3)
        // Behind what it says has been shown.
        #expect(shown.first == "c1" && Set(shown.dropFirst()) == ["room0: at 1:1", "room1: at 1:1"])
        bench.delivery.tellCursors(3, &bench.outlet)
        #expect(bench.outlet.takeShown(3) == [])
    }

    @Test func `a subscription has 56 bytes`() {
        #expect(MemoryLayout<Subscription>.stride <= 56)
    }
}

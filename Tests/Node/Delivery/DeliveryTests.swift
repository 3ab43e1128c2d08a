import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Who gets what, and from where a subscription goes on that did not get everything.
@Suite struct DeliveryTests {
    private static func vector(_ seq: UInt64) -> VersionVector { DeliveryBench.vector(seq) }

    @Test func `a room's frames of one turn go to each of its sessions as one run, and to nobody else`() {
        var bench = DeliveryBench()
        bench.enter(3, 1)
        bench.turn()
        bench.say(1)
        bench.say(2)
        bench.turn()
        #expect(bench.outlet.takeShown(1) == ["m1", "m2"] && bench.outlet.takeShown(2) == ["m1", "m2"])
        #expect(bench.outlet.runs == [1: 1, 2: 1] && bench.outlet.takeShown(3) == [])
        #expect(bench.delivery.position == Self.vector(2))
    }

    @Test func `an answer stands behind what the room has gathered before it, and before what comes after it`() {
        var bench = DeliveryBench()
        bench.say(1)
        bench.answer("ack", to: 1)
        bench.say(2)
        bench.turn()
        #expect(bench.outlet.takeShown(1) == ["m1", "ack", "m2"])
        #expect(bench.outlet.takeShown(2) == ["m1", "m2"])
    }

    @Test
    func `who moves to another room within a turn gets what came before of the old and what comes after of the new`() {
        var bench = DeliveryBench()
        bench.enter(3, 1)
        bench.turn()
        bench.say(1)
        bench.say(2, in: 1)
        bench.enter(1, 1)
        bench.say(3)
        bench.say(4, in: 1)
        bench.turn()
        #expect(bench.outlet.takeShown(1) == ["m1", "m4"])
        #expect(bench.outlet.takeShown(3) == ["m2", "m4"])
    }

    @Test func `who does not take all of a turn's frames is fed from the first that it did not take`() throws {
        var bench = DeliveryBench()
        bench.outlet.limits[1] = 1
        bench.say(1)
        bench.turn()
        bench.say(2)
        bench.say(3)
        bench.turn()
        let asked = try #require(bench.outlet.takeAsked().first)
        #expect(asked.connection == 1 && asked.question.cursor == Self.vector(1) && asked.question.purpose == .catchUp)
        #expect(bench.delivery.counts.takenOff == 1)
        // It gets the rest, and goes on live behind it.
        bench.outlet.limits[1] = nil
        bench.page(asked, [2, 3])
        bench.say(4)
        bench.turn()
        #expect(bench.outlet.takeShown(1) == ["m1", "p2", "p3", "m4"])
        #expect(bench.outlet.takeShown(2) == ["m1", "m2", "m3", "m4"])
    }

    @Test func `who is found slow in the middle of a turn is fed what the turn had before it`() throws {
        var bench = DeliveryBench()
        bench.outlet.limits[1] = 0
        bench.delivery.beginTurn()
        bench.say(1)
        bench.deliver()
        bench.say(2)
        bench.deliver()
        bench.delivery.flush(to: &bench.outlet)
        bench.delivery.askForPage(1, &bench.outlet)
        let asked = try #require(bench.outlet.takeAsked().first)
        #expect(asked.question.cursor == Self.vector(0))
    }

    @Test func `who is found slow behind an event that the room was not shown is not fed that`() throws {
        var bench = DeliveryBench()
        bench.outlet.limits[1] = 1
        bench.say(1)
        bench.add(.unshown(room: 0, twin: nil), dot: DeliveryBench.dot(2))
        bench.say(3)
        bench.add(.unshown(room: 0, twin: nil), dot: DeliveryBench.dot(4))
        bench.turn()
        let asked = try #require(bench.outlet.takeAsked().first)
        #expect(asked.question.cursor == Self.vector(2))
    }

    @Test func `frames that come while a page is read are held, and shown behind it where it has not got them`() throws
    {
        var bench = DeliveryBench()
        bench.outlet.limits[1] = 0
        bench.say(1)
        bench.turn()
        let asked = try #require(bench.outlet.takeAsked().first)
        bench.outlet.limits[1] = nil
        bench.say(2)
        bench.say(3)
        bench.turn()
        #expect(bench.outlet.takeShown(1) == [])
        bench.page(asked, [1, 2])
        #expect(bench.outlet.takeShown(1) == ["p1", "p2", "m3"])
    }

    @Test func `who resumed beyond what was handed out is not fed that again when it is slow`() throws {
        var bench = DeliveryBench()
        bench.say(1)
        bench.turn()
        bench.add(.resume(OutletUnderTest.session(1), ResumeRequest(room: 0, cursor: .at(Self.vector(0)), ref: nil)))
        bench.turn()
        let resume = try #require(bench.outlet.takeAsked().first)
        // The store has more than was handed out so far.
        bench.page(resume, [1, 2])
        #expect(bench.outlet.takeShown(1) == ["m1", "p1", "p2", "room0: resumed true 1:2"])
        bench.outlet.limits[1] = 0
        bench.say(2)
        bench.say(3)
        bench.turn()
        let asked = try #require(bench.outlet.takeAsked().first)
        #expect(asked.question.cursor == Self.vector(2))
    }

    @Test func `a page for a stay that is over is shown to nobody, and the next may be asked for`() throws {
        var bench = DeliveryBench()
        bench.outlet.limits[1] = 0
        bench.say(1)
        bench.turn()
        let asked = try #require(bench.outlet.takeAsked().first)
        bench.enter(1, 1)
        bench.say(2, in: 1)
        bench.turn()
        // One at a time is read for a connection.
        #expect(bench.outlet.takeAsked().isEmpty)
        bench.page(asked, [1])
        #expect(bench.outlet.takeShown(1) == [])
        let next = try #require(bench.outlet.takeAsked().first)
        #expect(next.room == "room1" && next.question.cursor == Self.vector(1))
    }

    @Test func `what retention has dropped of what a slow session was not sent ends it`() throws {
        var bench = DeliveryBench()
        bench.outlet.limits[1] = 0
        bench.say(1)
        bench.turn()
        let asked = try #require(bench.outlet.takeAsked().first)
        var page = Feed.Page(reached: Self.vector(1), isLevel: true)
        page.horizon = Self.vector(1)
        bench.delivery.take(
            page: page, asked.question.number, FrameBatchBuilder().finish(), for: 1, to: &bench.outlet)
        guard case .historyIsGone = bench.outlet.ended[1] else { throw TestFailure("not ended") }
        bench.say(2)
        bench.turn()
        #expect(bench.outlet.takeShown(1) == [])
    }

    @Test func `a connection whose number is used again begins anew`() throws {
        var bench = DeliveryBench()
        bench.outlet.limits[1] = 0
        bench.say(1)
        bench.turn()
        #expect(bench.outlet.takeAsked().count == 1)
        bench.delivery.forget(1)
        bench.outlet.limits[1] = nil
        bench.enter(1, 0)
        bench.say(2)
        bench.turn()
        #expect(bench.outlet.takeShown(1) == ["m2"])
        bench.outlet.limits[1] = 1
        bench.say(3)
        bench.say(4)
        bench.turn()
        // The page that was read for the one before does not keep it from asking.
        #expect(bench.outlet.takeAsked().map(\.connection) == [1])
    }

    private struct TestFailure: Error {
        init(_ words: String) {}
    }
}

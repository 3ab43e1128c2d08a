import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Stopping comes to its end in every state, and stores what was taken where that can be.
@Suite("NodeCore: stopping") struct NodeCoreStopTests {
    /// Two loops stop reading.
    private func stopReading(_ node: CoreUnderTest) {
        node.turn(.loopStopped)
        #expect(!node.sessionsClosed)
        node.turn(.loopStopped)
    }

    @Test("with nobody there it is over at once")
    func nobody() {
        let node = CoreUnderTest()
        stopReading(node)
        #expect(node.sessionsClosed && node.finished)
    }

    @Test("what was taken is stored and acked before the sessions are closed, and their departures after")
    func order() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.forgetShown()
        node.say(ann, "1", ref: "1")
        node.say(ann, "2", key: "k", ref: "2")
        node.say(ann, "3", ref: "3")
        stopReading(node)
        node.commit()
        #expect(!node.sessionsClosed)
        node.settle()
        #expect(node.sessionsClosed && !node.finished)
        #expect(node.words(ann).filter { $0.hasPrefix("ack") } == ["ack 1", "ack 2", "ack 3"])
        node.leave(ann)
        #expect(!node.finished)
        node.settle()
        #expect(node.finished)
        #expect(node.history() == ["ann joined", "1", "2", "3", "ann left"])
    }

    @Test("before the store was ever opened it does not wait for it")
    func neverOpened() {
        let node = CoreUnderTest(opened: false)
        let ann = node.enter("ann")
        stopReading(node)
        #expect(node.sessionsClosed)
        node.leave(ann)
        #expect(node.finished)
    }

    @Test("without a store it does not wait for it")
    func storeDown() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.store.setOutage(.unreachable("gone"))
        node.say(ann, "lost")
        stopReading(node)
        #expect(!node.sessionsClosed)
        node.commit()
        #expect(node.sessionsClosed)
        node.leave(ann)
        #expect(node.finished)
    }

    @Test("a batch in doubt gets one try to be decided, and is then given up", arguments: [true, false])
    func inDoubt(comesBack: Bool) {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.forgetShown()
        node.store.inject(.unknownOutcome(stored: true))
        if !comesBack { node.store.inject(.refuseOpen(.unreachable("gone"))) }
        node.say(ann, "doubtful", ref: "r")
        node.commit()
        stopReading(node)
        #expect(!node.sessionsClosed)
        node.open()
        #expect(node.sessionsClosed)
        #expect(node.words(ann) == (comesBack ? ["message doubtful", "ack r"] : []))
        node.leave(ann)
        if comesBack { node.settle() }
        #expect(node.finished)
    }

    @Test("sessions that wait for a look-up are heard to the end, also when it fails")
    func lookUp() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.forgetShown()
        node.say(ann, "1", key: "k", ref: "1")
        node.say(ann, "2", ref: "2")
        stopReading(node)
        #expect(!node.sessionsClosed)
        node.answerReads(.timeout("slow"))
        node.settle()
        #expect(node.sessionsClosed)
        #expect(node.words(ann) == ["error storage unavailable 1", "message 2", "ack 2"])
        node.leave(ann)
        node.settle()
        #expect(node.finished)
    }

    @Test("a store that fails while stopping ends it no less")
    func failsMeanwhile() {
        let node = CoreUnderTest()
        let sessions = (0..<4).map { _ in node.enter("ann") }
        node.settle()
        node.store.setOutage(.full("disk"))
        for session in sessions { node.say(session, "lost") }
        stopReading(node)
        for session in sessions {
            node.leave(session)
            node.commit()
        }
        #expect(node.sessionsClosed && node.finished)
    }
}

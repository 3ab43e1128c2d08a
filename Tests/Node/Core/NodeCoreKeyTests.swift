import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// A send with a key is one message, however often and whenever it is repeated.
@Suite("NodeCore: sends with a key") struct NodeCoreKeyTests {
    private func node(saveBuffer: Int = 64) -> (CoreUnderTest, SessionID, SessionID) {
        let node = CoreUnderTest(saveBuffer: saveBuffer)
        let sessions = (node.enter("ann"), node.enter("ann"))
        node.settle()
        node.forgetShown()
        return (node, sessions.0, sessions.1)
    }

    @Test("a repeat of what is stored is acked as a duplicate with the same id, and shown to nobody")
    func stored() throws {
        let (node, first, second) = node()
        node.say(first, "hello", key: "k", ref: "1")
        node.settle()
        let shown = node.shown(first)
        node.forgetShown()
        node.say(second, "hello", key: "k", ref: "2")
        node.settle()
        let again = node.shown(second)
        #expect(again.map(\.description) == ["ack 2 duplicate"])
        #expect(again.first?.id == shown.last?.id && again.first?.position == shown.last?.position)
        #expect(node.shown(first).isEmpty)
        #expect(node.history() == ["ann joined", "hello"])
        #expect(node.violations == [])
    }

    @Test("a repeat while the key is looked up, and one while the message is on its way, wait for it")
    func underWay() {
        let (node, first, second) = node()
        node.say(first, "hello", key: "k", ref: "1")
        node.say(second, "hello", key: "k", ref: "2")
        #expect(node.reads.count == 1)
        node.answerReads()
        #expect(node.committing?.entries.count == 1)
        node.say(first, "hello", key: "k", ref: "3")
        #expect(node.reads.isEmpty)
        #expect(node.words(first) == [] && node.words(second) == [])
        node.commit()
        #expect(node.words(first) == ["message hello", "ack 1", "ack 3 duplicate"])
        #expect(node.words(second) == ["message hello", "ack 2 duplicate"])
        #expect(node.history() == ["ann joined", "hello"])
        #expect(node.violations == [])
    }

    @Test("the same key in another room, or of another user, is another message")
    func scope() {
        let (node, first, _) = node()
        let bob = node.enter("bob")
        node.say(first, "1", key: "k")
        node.say(bob, "2", key: "k")
        node.settle()
        node.say(first, "3", key: "k", room: "other")
        node.settle()
        #expect(node.history().filter { $0.count == 1 } == ["1", "2"])
        #expect(node.history("other") == ["ann joined", "3"])
    }

    @Test("what a session sends behind a look-up keeps its order, and nobody else waits")
    func order() {
        let (node, first, second) = node()
        node.say(first, "1", key: "k1", ref: "1")
        node.say(first, "2", ref: "2")
        node.say(first, "3", key: "k3", ref: "3")
        node.say(first, "4", ref: "4")
        node.say(second, "quick", ref: "q")
        node.commit()
        #expect(node.words(second) == ["message quick", "ack q"])
        node.settle()
        #expect(node.history() == ["ann joined", "quick", "1", "2", "3", "4"])
        let acks = node.words(first).filter { $0.hasPrefix("ack") }
        #expect(acks == ["ack 1", "ack 2", "ack 3", "ack 4"])
        #expect(node.violations == [])
    }

    @Test("a look-up that fails refuses its sends, and what waited behind them goes on")
    func failedLookUp() {
        let (node, first, second) = node()
        node.say(first, "1", key: "k", ref: "1")
        node.say(first, "2", ref: "2")
        node.say(second, "1", key: "k", ref: "3")
        node.answerReads(.timeout("slow"))
        #expect(node.words(first) == ["error storage unavailable 1"])
        #expect(node.words(second) == ["error storage unavailable 3"])
        node.settle()
        #expect(node.words(first) == ["message 2", "ack 2"])
        node.say(first, "1", key: "k", ref: "4")
        node.settle()
        #expect(node.words(first) == ["message 1", "ack 4"])
    }

    @Test("when its batch fails the send and its repeats are refused, and the key is free again")
    func failedBatch() {
        let (node, first, second) = node()
        node.store.inject(.refuse(.full("disk")))
        node.say(first, "1", key: "k", ref: "1")
        node.answerReads()
        node.say(second, "1", key: "k", ref: "2")
        node.commit()
        #expect(node.words(first) == ["error storage unavailable 1"])
        #expect(node.words(second) == ["error storage unavailable 2"])
        node.settle()
        node.say(second, "1", key: "k", ref: "3")
        node.settle()
        #expect(node.words(second) == ["message 1", "ack 3"])
        #expect(node.history() == ["ann joined", "1"])
    }

    @Test("a batch of unknown outcome that is stored makes its repeats duplicates")
    func unknownOutcome() {
        let (node, first, second) = node()
        node.store.inject(.unknownOutcome(stored: true))
        node.say(first, "1", key: "k", ref: "1")
        node.answerReads()
        node.say(second, "1", key: "k", ref: "2")
        node.commit()
        #expect(node.words(first) == [] && node.words(second) == [])
        node.settle()
        #expect(node.words(first) == ["message 1", "ack 1"])
        #expect(node.words(second) == ["message 1", "ack 2 duplicate"])
        #expect(node.history() == ["ann joined", "1"])
    }

    @Test("too much behind one look-up is refused with busy, and the departure is never lost")
    func backlog() {
        let (node, first, _) = node(saveBuffer: 100_000)
        node.say(first, "0", key: "k", ref: "0")
        let limit = KeyedSends.backlog
        node.turn((1...limit).map { .session(first, .command(ref: Text("\($0)"), .say("\($0)"))) })
        #expect(node.words(first) == ["error busy \(limit)"])
        node.leave(first)
        node.settle()
        #expect(node.history().count == 1 + limit)
        #expect(node.core.sessions.count == 1)
        #expect(node.violations == [])
    }

    @Test("sends that wait for look-ups count against the save queue, and so do repeats")
    func bounded() {
        let (node, first, second) = node(saveBuffer: 8)
        node.say(first, "0", key: "k", ref: "0")
        for number in 1...10 { node.say(first, "\(number)", ref: Text("\(number)")) }
        #expect(node.words(first) == ["error busy 8", "error busy 9", "error busy 10"])
        node.settle()
        #expect(node.history().count == 1 + 8)
        node.forgetShown()
        node.say(second, "again", key: "l", ref: "0")
        node.answerReads()
        for number in 1...10 { node.say(second, "again", key: "l", ref: Text("\(number)")) }
        #expect(node.words(second) == ["error busy 8", "error busy 9", "error busy 10"])
        node.settle()
        #expect(node.words(second).count == 1 + 8)
    }
}

import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Old entries go a little at a time, and never in the way of a message or of the end.
@Suite("NodeCore: retention") struct NodeCoreRetentionTests {
    /// A node that keeps entries for six seconds, and has `count` that are older, besides the one of a joined session.
    private func node(old count: Int) -> (CoreUnderTest, SessionID) {
        let node = CoreUnderTest(saveBuffer: 100_000, retention: 6_000)
        let ann = node.enter("ann")
        node.turn((1...count).map { .session(ann, .command(ref: nil, .say("\($0)"))) })
        node.settle()
        node.now += 10_000
        node.forgetShown()
        return (node, ann)
    }

    @Test("a tick drops what is older than the retention, and what is younger stays")
    func drops() {
        let (node, ann) = node(old: 10)
        node.say(ann, "young")
        node.settle()
        node.now += 5_000
        node.turn(.tick)
        node.settle()
        #expect(node.history().last == "young" && node.history().count <= 2)
        #expect(node.core.counters.pruned >= 10)
        #expect(node.violations == [])
    }

    @Test("between two steps a waiting batch goes first")
    func steps() {
        let (node, ann) = node(old: Retention.step * 2)
        node.now += 5_000
        node.turn(.tick)
        #expect(node.pruning != nil)
        node.say(ann, "hello", ref: "r")
        #expect(node.committing == nil)
        node.prune()
        #expect(node.committing != nil && node.pruning == nil)
        node.commit()
        #expect(node.words(ann) == ["message hello", "ack r"])
        #expect(node.pruning != nil)
        node.settle()
        #expect(node.violations == [])
    }

    @Test("a step that fails opens the store anew, and the next tick goes on")
    func fails() {
        let (node, ann) = node(old: 10)
        node.now += 5_000
        node.turn(.tick)
        node.store.setOutage(.unreachable("gone"))
        node.prune()
        #expect(node.opening != nil && node.pruning == nil)
        node.store.setOutage(nil)
        node.open()
        #expect(node.pruning == nil)
        node.say(ann, "hello")
        node.settle()
        node.now += 5_000
        node.turn(.tick)
        node.settle()
        #expect(node.history().last == "hello" && node.core.counters.pruned > 0)
    }

    @Test("a node that stops finishes the step, not the whole pruning")
    func stopping() {
        let (node, ann) = node(old: Retention.step * 3)
        node.now += 5_000
        node.turn(.tick)
        node.turn(.loopStopped, .loopStopped)
        #expect(!node.sessionsClosed)
        node.prune()
        #expect(node.sessionsClosed && node.pruning == nil)
        node.leave(ann)
        node.commit()
        #expect(node.finished)
    }
}

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// What a reader has found beyond what the core has handed out.
@Suite("NodeCore: reads ahead") struct ReadsAheadTests {
    private let node = CoreUnderTest()

    private func history(_ session: SessionID, _ ref: Text) -> HistoryReader {
        HistoryReader(
            session: session, ref: ref, room: "lobby", before: nil, limit: 50, position: node.core.position)
    }

    private func read(_ request: ReadRequest, _ session: SessionID, needs: VersionVector) -> CoreEvent {
        var frames = FrameBatchBuilder()
        frames.append(to: .leave(session))
        let answer = LoopMessage.frames(frames.finish())
        return .readAhead(ReadAhead(request: request, session: session, answer: answer, needs: needs))
    }

    private func feed(_ session: SessionID, _ purpose: Feed.Purpose) -> ReadRequest {
        let question = Feed.Question(number: 7, purpose: purpose, cursor: VersionVector(), position: VersionVector())
        return .feed(session, question, room: "lobby", limit: 10)
    }

    @Test("an answer waits until what it shows has been handed out, and is passed on behind that")
    func waits() throws {
        let ann = node.enter("ann")
        node.settle()
        let replica = try #require(node.replica)
        let next = VersionVector([Dot(replica: replica, seq: 2)])
        node.send(ann, .history(room: nil, limit: nil, before: nil))
        #expect(node.core.histories[ann] == 1)
        node.say(ann, "on its way")
        node.turn(read(.history(history(ann, "h")), ann, needs: next))
        #expect(node.passed.isEmpty && node.core.histories[ann] == 1)
        var before: [Int] = []
        node.onDelivery = { batch, _ in
            if batch.records.contains(where: { $0.dot != nil }) { before.append(self.node.passed.count) }
        }
        node.commit()
        #expect(before == [0] && node.passed.count == 1 && node.core.histories[ann] == nil)
        // What has been handed out meanwhile does not wait.
        node.turn(read(.history(history(ann, "i")), ann, needs: next))
        #expect(node.passed.count == 2 && node.core.counters.readsAhead == 2)
    }

    @Test(
        "where the node does not come that far in time, it is asked again within what it has, and who is live waits on")
    func late() throws {
        let ann = node.enter("ann")
        node.settle()
        let foreign = VersionVector([Dot(replica: ReplicaID(rawValue: 9), seq: 1)])
        node.turn(
            read(.history(history(ann, "h")), ann, needs: foreign), read(feed(ann, .resume), ann, needs: foreign),
            read(feed(ann, .catchUp), ann, needs: foreign))
        node.now += ReadsAhead.patience - 1
        node.turn(.tick)
        #expect(node.passed.isEmpty && node.reads.isEmpty)
        node.say(ann, "more")
        node.settle()
        node.now += 1
        node.turn(.tick)
        guard node.reads.count == 2, case .history(let page) = node.reads[0],
            case .feed(_, let question, _, _) = node.reads[1]
        else {
            Issue.record("\(node.reads)")
            return
        }
        #expect(page.isBounded && page.ref == "h" && page.position == node.core.position)
        #expect(question.isBounded && question.number == 7 && question.position == node.core.position)
        #expect(node.passed.count == 1)
        guard case .feedFailed(ann, ask: 7)? = node.passed.last?.message else {
            Issue.record("\(node.passed)")
            return
        }
        node.now += 10_000
        node.turn(.tick)
        #expect(node.passed.count == 1)
    }
}

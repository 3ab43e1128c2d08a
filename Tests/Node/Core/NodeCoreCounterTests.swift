import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("NodeCore: counters and the list of documents") struct NodeCoreCounterTests {
    @Test("an addition is shown to the room with what the counter stands at, and acked")
    func counted() throws {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let bob = node.enter("bob")
        node.settle()
        node.forgetShown()
        node.send(ann, .count(5), ref: "1")
        node.send(bob, .count(-7))
        node.send(ann, .count(1, doc: "other"))
        #expect(node.words(bob) == [])
        node.settle()
        #expect(node.words(bob) == ["counted 5 to 5", "counted -7 to -2", "counted 1 to 1"])
        #expect(node.words(ann) == ["counted 5 to 5", "ack 1", "counted -7 to -2", "counted 1 to 1"])
        let entries = node.log.filter { $0.kind == .document }
        let deltas = try entries.map { entry in
            try entry.payload.withUnsafeBytes { try DocumentPayload(decoding: $0).delta }
        }
        #expect(
            deltas == [
                .count(amount: 5, totals: CounterTotals(up: 5)),
                .count(amount: -7, totals: CounterTotals(up: 5, down: 7)),
                .count(amount: 1, totals: CounterTotals(up: 1)),
            ])
        let touched = node.batches.flatMap(\.effects).compactMap { effect -> DocumentID? in
            if case .cells(let change) = effect, !change.touched.isEmpty { change.document } else { nil }
        }
        #expect(touched.map(\.name) == ["d", "d", "other"] && touched.allSatisfy { $0.kind == .counter })
        #expect(node.violations == [])
    }

    @Test("what a counter stands at is told behind the writes that it is made of, and without them where they fail")
    func replies() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let bob = node.enter("bob")
        node.settle()
        node.forgetShown()
        node.send(bob, .read(.init(.counter, doc: "d")), ref: "0")
        #expect(node.words(bob) == ["counter 0"])
        node.send(ann, .count(5))
        node.send(bob, .read(.init(.counter, doc: "d")), ref: "1")
        node.send(bob, .documents(room: nil), ref: "2")
        node.send(ann, .count(5))
        node.send(bob, .read(.init(.counter, doc: "d")), ref: "3")
        node.send(bob, .documents(room: nil), ref: "4")
        #expect(node.words(bob) == [])
        node.commit()
        #expect(node.words(bob) == ["counted 5 to 5", "counter 5", "docs d counter"])
        node.store.inject(.refuse(.full("disk")))
        node.commit()
        #expect(node.words(bob) == ["counter 5", "docs d counter"])
        #expect(node.violations == [])
    }

    @Test("a counter is after a failed batch just what it was")
    func rollsBack() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.send(ann, .count(5))
        node.commit()
        node.store.inject(.refuse(.full("disk")))
        node.turn(.session(ann, .command(ref: nil, .count(3))), .session(ann, .command(ref: nil, .count(-1, doc: "e"))))
        node.send(ann, .count(4))
        node.commit()
        node.forgetShown()
        node.send(ann, .read(.init(.counter, doc: "d")))
        node.send(ann, .read(.init(.counter, doc: "e")))
        node.send(ann, .documents(room: nil))
        #expect(node.words(ann) == ["counter 5", "counter 0", "docs d counter"])
        #expect(node.violations == [])
    }

    @Test("an addition that would be too much is refused, and is not in the log")
    func overflow() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.forgetShown()
        node.send(ann, .count(DocumentDelta.largestAmount + 1), ref: "1")
        #expect(node.words(ann) == ["error counter overflow 1"])
        // 512 times the largest amount is the highest total.
        for _ in 0..<8 {
            node.turn(
                Array(repeating: .session(ann, .command(ref: nil, .count(DocumentDelta.largestAmount))), count: 63))
            node.settle()
        }
        for _ in 0..<8 { node.send(ann, .count(DocumentDelta.largestAmount)) }
        node.settle()
        node.forgetShown()
        let logged = node.log.count
        node.send(ann, .count(1), ref: "2")
        node.settle()
        #expect(node.words(ann) == ["error counter overflow 2"])
        #expect(node.log.count == logged)
        node.send(ann, .count(-DocumentDelta.largestAmount))
        node.settle()
        #expect(node.words(ann) == ["counted \(-DocumentDelta.largestAmount) to \((1 << 62) - (1 << 53))"])
    }

    @Test("the documents of a room are listed with their kinds; those of other rooms are not")
    func list() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let bob = node.enter("bob", "ops")
        node.settle()
        node.send(ann, .documents(room: nil))
        node.send(ann, .add("x", doc: "b"))
        node.send(ann, .set(nil, doc: "b"))
        node.send(ann, .count(0, doc: "a"))
        node.send(ann, .add("x", doc: "gone"))
        node.send(ann, .remove("x", doc: "gone"))
        node.settle()
        node.forgetShown()
        node.send(ann, .documents(room: nil), ref: "q")
        #expect(node.shown(ann).map { $0.documents ?? ["none"] } == [["a counter", "b orset", "b lww"]])
        node.send(bob, .documents(room: nil))
        #expect(node.shown(bob).map { $0.documents ?? ["none"] } == [[]])
        #expect(node.violations == [])
    }
}

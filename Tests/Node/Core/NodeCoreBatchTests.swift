import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// The way of a write to the store and out again: nothing is seen that is not stored, whatever becomes of the batch.
@Suite("NodeCore: batches") struct NodeCoreBatchTests {
    @Test("a message is shown, and acked, when it is stored and not before")
    func storedFirst() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.forgetShown()
        node.say(ann, "hello", ref: "r1")
        #expect(node.committing != nil)
        #expect(node.words(ann) == [])
        node.commit()
        #expect(node.words(ann) == ["message hello", "ack r1"])
        #expect(node.history() == ["ann joined", "hello"])
        #expect(node.violations == [])
    }

    @Test("the ack names the message's id and position")
    func ack() throws {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.forgetShown()
        node.say(ann, "hello", ref: "r1")
        node.commit()
        let shown = node.shown(ann)
        try #require(shown.count == 2)
        #expect(shown[0].id == shown[1].id)
        #expect(shown[0].position == shown[1].position && shown[0].position == node.log.last?.position)
        #expect(shown[1].room == "lobby" && !shown[1].isDuplicate)
    }

    @Test("one batch is on its way, the next gathers what comes meanwhile")
    func groupCommit() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.say(ann, "1")
        for number in 2...5 { node.say(ann, "\(number)") }
        #expect(node.committing?.entries.count == 1)
        node.commit()
        #expect(node.committing?.entries.count == 4)
        node.forgetShown()
        node.commit()
        #expect(node.words(ann) == ["message 2", "message 3", "message 4", "message 5"])
        #expect(node.violations == [])
    }

    @Test("at a pace, what comes soon after a commit waits, is one batch, and is woken for")
    func paced() {
        let node = CoreUnderTest(commitPace: 5_000_000)
        let ann = node.enter("ann")
        node.settle()
        node.now += 100
        let before = node.batches.count
        node.say(ann, "at once")
        #expect(node.batches.count == before + 1 && node.core.nextCommit == nil)
        node.commit()
        node.now += 1
        for number in 1...3 { node.say(ann, "\(number)") }
        #expect(node.committing == nil && node.core.nextCommit == (node.now + 4) * 1_000_000)
        node.now += 4
        node.turn()
        #expect(node.committing?.entries.count == 3 && node.core.nextCommit == nil)
        node.commit()
        #expect(node.history().suffix(4) == ["at once", "1", "2", "3"] && node.violations == [])
    }

    @Test("what comes in one turn is one batch")
    func oneTurn() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        let before = node.batches.count
        node.turn((1...20).map { .session(ann, .command(ref: nil, .say("\($0)"))) })
        node.settle()
        #expect(node.batches.count == before + 1)
        #expect(node.batches.last?.entries.count == 20)
    }

    @Test("a batch that fails is refused to everybody who waits, and its numbers are used again")
    func failed() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let bob = node.enter("bob")
        node.settle()
        let head = node.log.count
        node.forgetShown()
        node.store.inject(.refuse(.full("disk")))
        node.say(ann, "lost 1", ref: "a")
        node.say(bob, "lost 2", ref: "b")
        node.say(bob, "lost 3")
        node.commit()
        #expect(node.words(ann) == ["error storage unavailable a"])
        #expect(node.words(bob) == ["error storage unavailable b", "error storage unavailable"])
        #expect(node.core.store == .unavailable(failures: 0))
        node.settle()
        node.say(ann, "kept", ref: "c")
        node.settle()
        #expect(node.words(ann) == ["message kept", "ack c"])
        #expect(node.log.map { Int($0.dot.seq) } == Array(1...head + 1))
        #expect(EntryChain().verifies(node.log, after: .zero))
        #expect(node.history().last == "kept")
        #expect(node.violations == [])
    }

    @Test("while the store is away writes are refused, questions are answered, and the tries come at growing intervals")
    func outage() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.send(ann, .add("x"))
        node.settle()
        node.forgetShown()
        node.store.setOutage(.unreachable("gone"))
        node.say(ann, "1", ref: "a")
        node.commit()
        #expect(node.words(ann) == ["error storage unavailable a"])
        node.say(ann, "2", ref: "b")
        node.send(ann, .add("y"), ref: "c")
        node.send(ann, .rooms(RoomsCommand()))
        node.send(ann, .read(.init(.orSet, doc: "d")))
        #expect(
            node.words(ann) == [
                "error storage unavailable b", "error storage unavailable c", "rooms ", "values x",
            ])
        var waits: [Duration] = []
        for _ in 0..<6 {
            waits.append(node.opening?.after ?? .zero)
            node.open()
        }
        #expect(
            waits == [
                .milliseconds(100), .milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2), .seconds(2),
            ])
        #expect(node.opening?.held?.replica == node.replica)
        node.store.setOutage(nil)
        node.open()
        node.say(ann, "3", ref: "d")
        node.settle()
        #expect(node.words(ann) == ["message 3", "ack d"])
        #expect(node.violations == [])
    }

    @Test("a sync that failed asks for another replica", arguments: [true, false])
    func renew(failsSync: Bool) {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        let old = node.replica
        node.send(ann, .add("x"))
        node.settle()
        node.store.inject(.refuse(failsSync ? .syncFailed("io") : .locked("by a backup")))
        node.say(ann, "lost")
        node.commit()
        #expect(node.opening?.renew == failsSync)
        node.settle()
        #expect((node.replica != old) == failsSync)
        node.forgetShown()
        node.say(ann, "kept", ref: "r")
        node.send(ann, .read(.init(.orSet, doc: "d")))
        node.settle()
        #expect(node.words(ann) == ["message kept", "ack r", "values x"])
        #expect(node.log.first?.dot.seq == 1)
        #expect(EntryChain().verifies(node.log, after: .zero))
        #expect(node.reports.contains(.identityRenewed(.syncFailed)) == failsSync)
        #expect(node.violations == [])
    }

    @Test(
        "a batch of unknown outcome is neither shown nor refused until the log's head tells", arguments: [true, false])
    func unknownOutcome(stored: Bool) {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.forgetShown()
        node.store.inject(.unknownOutcome(stored: stored))
        node.say(ann, "doubtful", ref: "a")
        node.say(ann, "after it", ref: "b")
        node.send(ann, .add("x"), ref: "c")
        node.commit()
        // What was placed behind the batch has failed for certain.
        #expect(node.words(ann) == ["error storage unavailable b", "error storage unavailable c"])
        node.store.inject(.refuseOpen(.unreachable("still down")))
        node.open()
        #expect(node.words(ann) == [])
        node.open()
        #expect(node.words(ann) == (stored ? ["message doubtful", "ack a"] : ["error storage unavailable a"]))
        node.say(ann, "later", ref: "d")
        node.settle()
        #expect(node.words(ann) == ["message later", "ack d"])
        #expect(node.history() == ["ann joined"] + (stored ? ["doubtful"] : []) + ["later"])
        #expect(EntryChain().verifies(node.log, after: .zero))
        #expect(node.violations == [])
    }

    @Test("documents are after a failed batch just what they were", arguments: [nil, true, false] as [Bool?])
    func documentsRollBack(unknownStored: Bool?) {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.send(ann, .add("kept"))
        node.send(ann, .add("also kept"))
        node.send(ann, .set("first"))
        node.settle()
        node.forgetShown()
        node.store.inject(unknownStored.map { .unknownOutcome(stored: $0) } ?? .refuse(.full("disk")))
        // One batch on its way, and another that gathers behind it.
        node.turn(
            .session(ann, .command(ref: nil, .remove("kept"))), .session(ann, .command(ref: nil, .add("new"))),
            .session(ann, .command(ref: nil, .set("second"))))
        node.turn(
            .session(ann, .command(ref: nil, .remove("also kept"))), .session(ann, .command(ref: nil, .set("third"))))
        node.commit()
        node.settle()
        node.forgetShown()
        node.send(ann, .read(.init(.orSet, doc: "d")))
        node.send(ann, .read(.init(.register, doc: "d")))
        let survived = unknownStored == true
        #expect(
            node.words(ann) == [
                survived ? "values also kept,new" : "values also kept,kept",
                survived ? "crdt_lww_value second" : "crdt_lww_value first",
            ])
        #expect(node.violations == [])
    }

    @Test("a full save queue refuses with busy and takes again when it has drained")
    func busy() {
        let node = CoreUnderTest(saveBuffer: 4)
        let ann = node.enter("ann")
        node.settle()
        node.forgetShown()
        for number in 1...6 { node.say(ann, "\(number)", ref: Text("\(number)")) }
        #expect(node.words(ann) == ["error busy 5", "error busy 6"])
        node.settle()
        #expect(node.words(ann).filter { $0.hasPrefix("ack") } == ["ack 1", "ack 2", "ack 3", "ack 4"])
        node.say(ann, "7", ref: "7")
        node.settle()
        #expect(node.words(ann) == ["message 7", "ack 7"])
        #expect(node.history() == ["ann joined", "1", "2", "3", "4", "7"])
    }

    @Test("a full document refuses, and what was refused is not in the log")
    func documentFull() {
        let node = CoreUnderTest(elementsPerDocument: 2)
        let ann = node.enter("ann")
        node.settle()
        node.forgetShown()
        for element in ["x", "y", "z"] as [Text] { node.send(ann, .add(element), ref: element) }
        node.settle()
        #expect(
            node.words(ann) == ["error document full z", "crdt_orset_added x", "ack x", "crdt_orset_added y", "ack y"])
        #expect(node.log.count == 3)
    }

    @Test("a write with after stands behind it, but sets the clock no further ahead than others bear")
    func after() throws {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        let other = Dot(replica: ReplicaID(rawValue: 9), seq: 1)
        let soon = Position(timestamp: HybridTimestamp(milliseconds: node.now + 60_000), dot: other)
        node.send(ann, .say("soon", after: soon))
        node.settle()
        #expect(try #require(node.log.last).position > soon)
        let far = Position(timestamp: HybridTimestamp(milliseconds: node.now + 9_000_000_000), dot: other)
        node.send(ann, .say("far", after: far))
        node.settle()
        let last = try #require(node.log.last)
        #expect(last.position < far)
        #expect(last.timestamp.milliseconds <= node.now + HybridClock.lead + 1)
        #expect(last.timestamp.milliseconds >= node.now + HybridClock.lead)
        node.say(ann, "after that")
        node.settle()
        #expect(try #require(node.log.last).timestamp > last.timestamp)
    }

    @Test(
        "history is asked for within the limit, 50 where no sensible number is given",
        arguments: [
            (nil, 50), (0, 50), (-3, 50), (10, 10), (200, 200), (100_000, 200),
        ] as [(Int?, Int)])
    func historyLimit(asked: Int?, expected: Int) {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.send(ann, .history(room: nil, limit: asked, before: nil))
        guard case .history(let page)? = node.reads.last else {
            Issue.record("nothing was asked of the readers")
            return
        }
        #expect(page.room == "lobby" && page.limit == expected && page.position == node.core.position)
    }
}

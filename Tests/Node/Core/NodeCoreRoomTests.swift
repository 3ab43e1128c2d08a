import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Who is where: sessions, users, rooms, and what the log says about them.
@Suite("NodeCore: rooms") struct NodeCoreRoomTests {
    @Test("who comes is welcomed first, then everybody in the room reads that they joined")
    func entering() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        #expect(node.words(ann) == ["welcome lobby"])
        node.settle()
        #expect(node.words(ann) == ["system ann joined"])
        let bob = node.enter("bob")
        node.settle()
        #expect(node.words(ann) == ["system bob joined"])
        #expect(node.words(bob) == ["welcome lobby", "system bob joined"])
        node.leave(bob)
        node.settle()
        #expect(node.words(ann) == ["system bob left"])
        #expect(node.history() == ["ann joined", "bob joined", "bob left"])
        #expect(node.violations == [])
    }

    @Test("a user with several sessions joins with the first and leaves with the last")
    func sessions() {
        let node = CoreUnderTest()
        let all = (0..<3).map { _ in node.enter("ann") }
        let watcher = node.enter("bob")
        node.settle()
        node.send(watcher, .users(UsersCommand(detail: true)))
        #expect(node.shown(watcher).last?.users == ["ann", "bob"])
        for session in all { node.leave(session) }
        node.settle()
        #expect(node.history() == ["ann joined", "bob joined", "ann left"])
    }

    @Test("users are each named once and sorted; a limit shortens the list and not the count")
    func users() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        for user in ["zoe", "bob", "bob", "mia"] as [Text] { _ = node.enter(user) }
        node.settle()
        node.forgetShown()
        for (limit, expected) in [(nil, 4), (2, 2), (0, 0), (-1, 0), (9, 4)] as [(Int?, Int)] {
            node.send(ann, .users(UsersCommand(limit: limit)))
            let shown = node.shown(ann).first
            #expect(shown?.users == Array(["ann", "bob", "mia", "zoe"].prefix(expected)))
            #expect(shown?.count == 4)
        }
        node.send(ann, .users(UsersCommand(room: "nowhere")))
        #expect(node.shown(ann).first?.users == [])
    }

    @Test("who moves leaves one room and joins the other, and both are told")
    func moving() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let here = node.enter("here")
        let there = node.enter("there", "dev")
        node.settle()
        node.forgetShown()
        node.send(ann, .join(room: "dev"), ref: "j")
        #expect(node.words(ann) == ["joined dev"])
        node.settle()
        #expect(node.words(ann) == ["system ann joined"])
        #expect(node.words(here) == ["system ann left"])
        #expect(node.words(there) == ["system ann joined"])
        node.send(ann, .rooms(RoomsCommand()))
        #expect(node.shown(ann).first?.rooms == ["dev", "lobby"])
        #expect(node.violations == [])
    }

    @Test("joining one's own room does nothing, but is answered where it has a ref")
    func sameRoom() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.forgetShown()
        node.send(ann, .join(room: "lobby"))
        node.send(ann, .join(room: "lobby"), ref: "j")
        node.settle()
        // The loop knows what it has been shown, and answers.
        #expect(node.words(ann) == [] && node.resumes.count == 1)
        #expect(node.resumes.first?.request.cursor == nil && node.resumes.first?.request.ref == "j")
        #expect(node.history() == ["ann joined"])
    }

    @Test("a message for another room joins that first")
    func messageElsewhere() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let dev = node.enter("dev", "dev")
        node.settle()
        node.forgetShown()
        node.say(ann, "hello", ref: "r", room: "dev")
        node.settle()
        #expect(node.words(ann) == ["system ann joined", "message hello", "ack r"])
        #expect(node.words(dev) == ["system ann joined", "message hello"])
        #expect(node.room(of: ann) == "dev")
        #expect(node.history() == ["ann joined", "ann left"])
        #expect(node.history("dev") == ["dev joined", "ann joined", "hello"])
    }

    @Test("the index of a room is not given to another while an entry of the room is on its way")
    func indexReuse() {
        let node = CoreUnderTest()
        let watcher = node.enter("watcher")
        let ann = node.enter("ann", "first")
        node.settle()
        node.say(ann, "last words")
        node.leave(ann)
        // Everybody has gone from `first`, whose message and departure are not stored yet.
        let bob = node.enter("bob", "second")
        node.settle()
        #expect(node.words(bob) == ["welcome second", "system bob joined"])
        let index = node.core.rooms.index(of: "first")
        #expect(index == nil)
        let carl = node.enter("carl", "third")
        #expect(node.core.rooms.index(of: "third") == 1)
        node.settle()
        #expect(node.words(carl) == ["welcome third", "system carl joined"])
        #expect(node.history("first") == ["ann joined", "last words", "ann left"])
        node.leave(watcher)
        node.settle()
        #expect(node.violations == [])
    }

    @Test("a batch that fails gives the indices of its rooms back")
    func indexAfterFailure() {
        let node = CoreUnderTest()
        let ann = node.enter("ann", "first")
        node.settle()
        node.store.inject(.refuse(.full("disk")))
        node.say(ann, "lost")
        node.leave(ann)
        node.commit()
        #expect(node.core.rooms.index(of: "first") == nil)
        node.settle()
        #expect(node.core.rooms.index(of: "first") == nil)
        #expect(node.history("first") == ["ann joined", "ann left"])
    }

    @Test("after a crash, who the log says is there and is not has left")
    func attendanceAtStart() {
        let store = MemoryStore()
        let before = CoreUnderTest(store: store)
        for room in ["one", "two"] as [Text] { _ = before.enter("ann", room) }
        before.settle()
        let node = CoreUnderTest(store: store, opened: false)
        let ann = node.enter("ann", "two")
        let bob = node.enter("bob", "two")
        #expect(node.words(ann) == ["welcome two"])
        node.settle()
        #expect(node.history("one") == ["ann joined", "ann left"])
        #expect(node.history("two") == ["ann joined", "bob joined"])
        #expect(node.words(bob) == ["welcome two", "system bob joined"])
        #expect(node.violations == [])
    }

    @Test("who came and went while the store was away is put right when it is back")
    func attendanceAfterOutage() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let bob = node.enter("bob")
        node.settle()
        node.store.setOutage(.unreachable("gone"))
        node.say(ann, "lost")
        node.commit()
        node.leave(bob)
        let carl = node.enter("carl")
        let fleeting = node.enter("fleeting")
        node.leave(fleeting)
        node.send(ann, .join(room: "dev"))
        node.store.setOutage(nil)
        node.settle()
        let words = node.history()
        #expect(words.prefix(2) == ["ann joined", "bob joined"])
        #expect(Set(words.dropFirst(2)) == ["ann left", "bob left", "carl joined"] && words.count == 5)
        #expect(node.history("dev") == ["ann joined"])
        #expect(node.words(carl).first == "welcome lobby")
        #expect(node.violations == [])
    }

    @Test(
        "live system events are shown at once and not stored; off, there are none",
        arguments: [SystemEvents.live, .off])
    func unstored(_ mode: SystemEvents) {
        let node = CoreUnderTest(systemEvents: mode)
        let ann = node.enter("ann")
        let bob = node.enter("bob", "dev")
        node.send(bob, .join(room: "lobby"))
        node.leave(bob)
        #expect(node.committing == nil)
        #expect(
            node.words(ann)
                == ["welcome lobby"]
                + (mode == .live ? ["system ann joined", "system bob joined", "system bob left"] : []))
        #expect(node.log.isEmpty)
        #expect(node.violations == [])
    }

    @Test("who asks to leave is closed by the node")
    func leaving() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.send(ann, .leave)
        #expect(node.dismissed == [ann])
        node.leave(ann)
        node.settle()
        #expect(node.history() == ["ann joined", "ann left"])
    }

    @Test("what comes late for a session that has left is ignored")
    func late() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.leave(ann)
        node.settle()
        let head = node.log.count
        node.say(ann, "ghost")
        node.leave(ann)
        node.settle()
        #expect(node.log.count == head)
    }
}

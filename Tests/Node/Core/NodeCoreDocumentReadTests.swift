import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Documents are read from memory: never ahead of the store, and never waiting for one that is away.
@Suite("NodeCore: reading documents") struct NodeCoreDocumentReadTests {
    private func node() -> (CoreUnderTest, SessionID, SessionID) {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let bob = node.enter("bob")
        node.send(ann, .add("kept"))
        node.send(ann, .set("first"))
        node.send(ann, .count(3))
        node.settle()
        node.forgetShown()
        return (node, ann, bob)
    }

    private func askAll(_ node: CoreUnderTest, _ session: SessionID) {
        node.send(session, .read(.init(.orSet, doc: "d")))
        node.send(session, .read(.init(.register, doc: "d")))
        node.send(session, .read(.init(.counter, doc: "d")))
        node.send(session, .documents(room: nil))
    }

    private let before = ["values kept", "crdt_lww_value first", "counter 3", "docs d orset,d lww,d counter"]

    @Test("an answer stands behind the writes that it shows, and is given without them where they fail")
    func order() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let bob = node.enter("bob")
        node.settle()
        node.forgetShown()
        node.send(ann, .add("x"), ref: "1")
        node.send(bob, .read(.init(.orSet, doc: "d")), ref: "2")
        node.send(ann, .add("y"), ref: "3")
        node.send(bob, .read(.init(.orSet, doc: "d")), ref: "4")
        #expect(node.words(bob) == [])
        node.commit()
        #expect(node.words(bob) == ["crdt_orset_added x", "values x"])
        node.store.inject(.refuse(.full("disk")))
        node.commit()
        #expect(node.words(bob) == ["values x"])
        #expect(node.words(ann).last == "error storage unavailable 3")
        #expect(node.violations == [])
    }

    @Test(
        "while a batch is in doubt documents are read as they were before it, at once, for as long as the store is away",
        arguments: [true, false])
    func inDoubt(stored: Bool) {
        let (node, ann, bob) = node()
        node.store.inject(.unknownOutcome(stored: stored))
        for _ in 0..<5 { node.store.inject(.refuseOpen(.unreachable("still down"))) }
        node.turn(
            .session(ann, .command(ref: nil, .remove("kept"))), .session(ann, .command(ref: "w", .add("new"))),
            .session(ann, .command(ref: nil, .set("second"))), .session(ann, .command(ref: nil, .count(4))),
            .session(ann, .command(ref: nil, .add("only", doc: "late"))))
        // Asked while the batch is on its way, and behind the next one.
        node.send(bob, .read(.init(.orSet, doc: "d")), ref: "a")
        node.send(ann, .add("behind"))
        node.send(bob, .read(.init(.orSet, doc: "d")), ref: "b")
        #expect(node.words(bob) == [])
        node.commit()
        #expect(node.words(bob) == ["values kept", "values kept"])
        for _ in 0..<3 {
            node.open()
            askAll(node, bob)
            #expect(node.words(bob) == before)
        }
        node.settle()
        #expect(node.words(ann).contains(stored ? "ack w" : "error storage unavailable w"))
        let late = node.words(bob)
        #expect(late.contains("crdt_orset_added new") == stored)
        #expect(!late.contains { $0.hasPrefix("values") })
        node.send(bob, .read(.init(.orSet, doc: "d")))
        node.send(bob, .documents(room: nil))
        #expect(
            node.words(bob)
                == (stored ? ["values new", "docs d orset,d lww,d counter,late orset"] : ["values kept", before[3]]))
        #expect(node.violations == [])
    }

    @Test("a store that is full refuses what is written, and goes on telling what is in the documents")
    func full() {
        let (node, ann, bob) = node()
        node.store.setOutage(.full("disk"))
        node.send(ann, .add("lost"), ref: "w")
        node.send(bob, .read(.init(.orSet, doc: "d")))
        node.commit()
        #expect(node.words(ann) == ["error storage unavailable w"])
        #expect(node.words(bob) == ["values kept"])
        for _ in 0..<3 {
            node.open()
            node.send(ann, .add("lost"), ref: "x")
            askAll(node, bob)
            #expect(node.words(ann) == ["error storage unavailable x"])
            #expect(node.words(bob) == before)
        }
        node.store.setOutage(nil)
        node.settle()
        node.send(ann, .add("new"), ref: "y")
        node.settle()
        #expect(node.words(ann) == ["crdt_orset_added new", "ack y"])
        #expect(node.violations == [])
    }

    @Test("a document is read page by page, and from its beginning where it has changed meanwhile")
    func pages() throws {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        for element in ["c", "a", "e", "b", "d"] as [Text] { node.send(ann, .add(element)) }
        node.settle()
        node.forgetShown()
        func ask(after: String?, limit: Int?) throws -> ShownFrame {
            let page = DocumentPage(after: after.map { Text($0) }, limit: limit)
            node.send(ann, .read(.init(.orSet, doc: "d", page: page)), ref: "p")
            let shown = node.shown(ann)
            node.forgetShown()
            return try #require(shown.last)
        }
        #expect(try ask(after: nil, limit: nil).list == ["a", "b", "c", "d", "e"])
        #expect(try ask(after: nil, limit: 0).next == nil)
        var read: [String] = []
        var after: String?
        repeat {
            let frame = try ask(after: after, limit: 2)
            read += frame.list ?? []
            after = frame.next
        } while after != nil
        #expect(read == ["a", "b", "c", "d", "e"])

        let first = try ask(after: nil, limit: 2)
        node.send(ann, .add("f"))
        node.settle()
        node.forgetShown()
        let late = try ask(after: first.next, limit: 2)
        #expect(late.description == "error conflict p")
        #expect(try ask(after: "no place", limit: 2).description == "error conflict p")
        #expect(node.violations == [])
    }

    @Test("a write and a question may name another room, and nobody moves there")
    func elsewhere() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let bob = node.enter("bob", "ops")
        node.settle()
        node.forgetShown()
        node.send(ann, .write(.init(.orSet, doc: "d", .init(.add, key: "x"), room: "ops")), ref: "w")
        node.settle()
        #expect(node.words(bob) == ["crdt_orset_added x"])
        #expect(node.words(ann) == ["ack w"])
        node.forgetShown()
        node.send(ann, .read(.init(.orSet, doc: "d", room: "ops", page: DocumentPage())))
        node.send(ann, .read(.init(.orSet, doc: "d")))
        let answers = node.shown(ann)
        #expect(answers.map(\.list) == [["x"], nil] && answers.map(\.items) == [nil, []])
        #expect(node.violations == [])
    }
}

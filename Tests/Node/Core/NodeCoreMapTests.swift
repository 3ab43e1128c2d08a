import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

@testable import ConvergeNode

/// A kind of document that earlier builds don't know: maps.
@Suite("NodeCore: maps") struct NodeCoreMapTests {
    private func set(_ field: Text, _ value: Text?) -> ClientCommand {
        .write(.init(.map, doc: "m", .init(value == nil ? .remove : .set, key: field, value: value)))
    }

    @Test("fields are written, shown by `doc`, read whole and by pages, and survive a restart")
    func writes() throws {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        let bob = node.enter("bob")
        node.settle()
        node.forgetShown()
        node.send(ann, set("b", "\u{0}[1]"), ref: "w")
        node.send(ann, set("a", "x"))
        node.send(ann, set("b", "y"))
        node.settle()
        #expect(node.shown(bob).map(\.type) == ["doc", "doc", "doc"])
        #expect(node.words(ann).contains("ack w"))
        node.forgetShown()
        node.send(bob, .read(.init(.map, doc: "m")))
        #expect(node.shown(bob).last?.pairs == ["a": "x", "b": "y"])
        node.forgetShown()
        node.send(bob, .read(.init(.map, doc: "m", page: DocumentPage(limit: 1))))
        let first = try #require(node.shown(bob).last)
        #expect(first.pairs == ["a": "x"])
        node.forgetShown()
        let place = first.next.map { Text($0) }
        node.send(bob, .read(.init(.map, doc: "m", page: DocumentPage(after: place, limit: 1))))
        #expect(node.shown(bob).last?.pairs == ["b": "y"] && node.shown(bob).last?.next == nil)
        node.forgetShown()
        node.send(bob, .documents(room: nil))
        #expect(node.shown(bob).last?.documents == ["m map"])
        let cells = node.core.documents.cells(of: DocumentID(room: "lobby", kind: .map, name: "m"))
        let recovered = try node.store.openWriter(
            .init(
                freshReplica: ReplicaID(rawValue: 9), machine: "m", machineBoot: "b", nodeName: "n")
        ).recovered
        #expect(recovered.documents.map(\.cell) == cells.sorted)
        #expect(node.violations == [])
    }

    @Test("nodes that both know maps write them, and hold the same")
    func cluster() {
        let cluster = CoreCluster(2)
        cluster.start()
        let ann = cluster.enter(0, "ann")
        let bob = cluster.enter(1, "bob")
        cluster.send(0, ann, set("f", "ann"))
        cluster.send(1, bob, set("f", "bob"))
        cluster.send(1, bob, set("g", "bob"))
        cluster.run(20)
        let map = DocumentID(room: "lobby", kind: .map, name: "m")
        let values = cluster.nodes.map { $0.core.documents.value(of: map) }
        #expect(values[0] == values[1])
        guard case .fields(let fields) = values[0] else {
            Issue.record("no map: \(values[0])")
            return
        }
        #expect(fields.map(\.name) == ["f", "g"])
    }

    @Test("while a member does not know maps writes to them are refused, and no others")
    func olderMember() {
        let cluster = CoreCluster(2, older: [1])
        cluster.start()
        let ann = cluster.enter(0, "ann")
        #expect(!cluster.nodes[0].core.isKnownToAll(.map) && cluster.nodes[0].core.isKnownToAll(.orSet))
        cluster.send(0, ann, set("f", "x"), ref: "m")
        cluster.send(0, ann, .add("x"), ref: "s")
        cluster.run(5)
        let words = cluster.nodes[0].shown.map(\.description)
        #expect(words.contains("error conflict m") && words.contains("ack s"))
        let map = DocumentID(room: "lobby", kind: .map, name: "m")
        #expect(cluster.nodes[0].core.documents.cells(of: map).isEmpty)
    }
}

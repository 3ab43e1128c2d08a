import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// What is noted of members reaches the store, whatever becomes of the batches between.
@Suite struct MemberNotesTests {
    @Test func `the latest word on an address is the one that is stored`() {
        var notes = MemberNotes()
        notes.note(.forget(address: "a:1"))
        notes.note(.forget(address: "b:1"))
        notes.note(Self.met("a:1", seen: 2))
        #expect(Self.words(notes.take()) == ["forget b:1", "remember a:1 2"])
        #expect(notes.isEmpty)
    }

    @Test func `what a failed batch gives back does not overrule what came after it`() {
        var notes = MemberNotes()
        notes.note(.forget(address: "a:1"))
        notes.putBack([
            Self.met("a:1", seen: 1), Self.met("b:1", seen: 1), .hide(Dot(replica: ReplicaID(rawValue: 10), seq: 1)),
        ])
        #expect(Self.words(notes.take()) == ["remember b:1 1", "forget a:1"])
    }

    @Test func `of more addresses than the limit the oldest are dropped`() {
        var notes = MemberNotes(limit: 3)
        for port in 0..<5 { notes.note(.forget(address: Text("a:\(port)"))) }
        #expect(Self.words(notes.take()) == ["forget a:2", "forget a:3", "forget a:4"])
    }

    @Test func `a member that was met while the store failed is stored with the next batch`() {
        let node = CoreUnderTest()
        node.core.memberNotes.note(Self.met("a:1", seen: 7))
        node.turn([])
        #expect(node.committing.map { Self.words($0.effects) } == ["remember a:1 7"])
        node.store.inject(.refuse(.full("disk")))
        node.commit()
        #expect(node.committing == nil)
        node.core.memberNotes.note(.forget(address: "b:1"))
        node.open()
        node.turn([])
        #expect(node.committing.map { Self.words($0.effects) } == ["remember a:1 7", "forget b:1"])
    }

    private static func met(_ address: Text, seen: UInt64) -> StoreEffect {
        .remember(StoredMember(address: address, replica: ReplicaID(rawValue: 10), name: "n", seen: seen))
    }

    private static func words(_ effects: [StoreEffect]) -> [String] {
        effects.map {
            switch $0 {
            case .remember(let member): "remember \(member.address) \(member.seen)"
            case .forget(let address): "forget \(address)"
            default: "?"
            }
        }
    }
}

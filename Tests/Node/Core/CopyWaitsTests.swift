import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("Acks that wait for copies")
struct CopyWaitsTests {
    private static func wait(_ seq: UInt64, wanted: Int, deadline: UInt64 = 100) -> CopyWaits.Wait {
        let position = Position(
            timestamp: HybridTimestamp(rawValue: seq), dot: Dot(replica: ReplicaID(rawValue: 1), seq: seq))
        return CopyWaits.Wait(
            session: SessionID(loop: 0, slot: 0, generation: 1), ref: "r",
            acknowledgement: Acknowledgement(id: MessageID(position.dot), room: "lobby", position: position),
            wanted: wanted, deadline: deadline)
    }

    private static let peers = (1...3).map { ReplicaID(rawValue: UInt64($0) * 16) }

    @Test("an ack goes out when enough nodes have stored its entry, and says how many")
    func enough() {
        var waits = CopyWaits()
        waits.add(Self.wait(5, wanted: 2))
        waits.add(Self.wait(6, wanted: 3))
        #expect(waits.takeReady(at: 0).isEmpty)
        waits.peerStored(Self.peers[0], through: 5)
        #expect(waits.takeReady(at: 0).map(\.acknowledgement.copies) == [2])
        waits.peerStored(Self.peers[0], through: 7)
        waits.peerStored(Self.peers[0], through: 7)
        #expect(waits.takeReady(at: 0).isEmpty)
        waits.peerStored(Self.peers[1], through: 6)
        #expect(waits.takeReady(at: 0).map(\.acknowledgement.copies) == [3])
        #expect(waits.isEmpty)
    }

    @Test("what a peer has stored does not fall")
    func neverFalls() {
        var waits = CopyWaits()
        waits.peerStored(Self.peers[0], through: 9)
        waits.peerStored(Self.peers[0], through: 3)
        #expect(waits.copies(of: Dot(replica: ReplicaID(rawValue: 1), seq: 9)) == 2)
        #expect(waits.copies(of: Dot(replica: ReplicaID(rawValue: 1), seq: 10)) == 1)
    }

    @Test("when its time is over an ack goes out with the copies that there are")
    func deadline() {
        var waits = CopyWaits()
        waits.add(Self.wait(1, wanted: 3, deadline: 50))
        waits.add(Self.wait(2, wanted: 3, deadline: 60))
        waits.peerStored(Self.peers[0], through: 1)
        #expect(waits.takeReady(at: 49).isEmpty)
        #expect(waits.takeReady(at: 50).map(\.acknowledgement.copies) == [2])
        #expect(waits.count == 1)
    }

    @Test("under a new identity what peers had of the old one counts no more, and who waits is answered")
    func renewed() {
        var waits = CopyWaits()
        waits.add(Self.wait(4, wanted: 2))
        waits.forgetPeers()
        #expect(waits.takeReady(at: 0).map(\.acknowledgement.copies) == [1])
    }

    @Test("a repeat waits for copies of an entry of any log, or until its time is over, however many there are")
    func repeats() {
        var waits = CopyWaits()
        for seq in UInt64(1)...3 { waits.addRepeat(Self.wait(4 - seq, wanted: Int(seq) + 1, deadline: 10 * seq)) }
        #expect(!waits.isEmpty && waits.count == 0)
        #expect(waits.takeReady(at: 100).isEmpty)
        #expect(waits.takeRepeats(at: 0) { _ in 1 }.isEmpty)
        #expect(waits.takeRepeats(at: 0) { Int($0.seq) }.map(\.acknowledgement.copies) == [3])
        #expect(waits.takeRepeats(at: 20) { _ in 1 }.map(\.wanted) == [3])
        waits.forgetPeers()
        #expect(waits.takeRepeats(at: 0) { _ in 1 }.map(\.wanted) == [4] && waits.isEmpty)
        for _ in 0..<CopyWaits.repeatLimit { waits.addRepeat(Self.wait(1, wanted: 2)) }
        #expect(!waits.canTakeRepeat)
    }

    @Test("a peer without a link does not count: it may come back under another name, and one node is one copy")
    func forgets() {
        var waits = CopyWaits()
        waits.add(Self.wait(4, wanted: 3))
        waits.peerStored(Self.peers[0], through: 4)
        waits.forget(Self.peers[0])
        waits.peerStored(Self.peers[1], through: 4)
        #expect(waits.takeReady(at: 0).isEmpty)
        #expect(waits.copies(of: Dot(replica: ReplicaID(rawValue: 1), seq: 4)) == 2)
    }
}

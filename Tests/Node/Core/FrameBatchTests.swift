import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("FrameBatch") struct FrameBatchTests {
    private let session = SessionID(loop: 3, slot: 9, generation: 2)

    @Test(
        "each frame is whole and its header as short as it can be",
        arguments: [(1, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (200_000, 10)])
    func headers(length: Int, header: Int) {
        var builder = FrameBatchBuilder()
        for byte in [UInt8(ascii: "a"), UInt8(ascii: "b")] {
            builder.append(to: .room(1)) { $0.append([UInt8](repeating: byte, count: length)) }
        }
        let batch = builder.finish()
        for (record, byte) in zip(batch.records, [UInt8(ascii: "a"), UInt8(ascii: "b")]) {
            var bytes = [UInt8](batch.bytes(of: record))
            #expect(bytes.count == header + length)
            var machine = WebSocketMachine(role: .client, limits: .init(maxMessageBytes: 1 << 20))
            let whole = bytes.withUnsafeMutableBytes { bytes -> Bool in
                var offset = 0
                guard case .message(.text, let text) = machine.next(bytes, &offset) else { return false }
                return offset == bytes.count && text.count == length && text.allSatisfy { $0 == byte }
            }
            #expect(whole)
        }
    }

    @Test("a frame of nothing is not there, and what follows stands where it would")
    func nothing() {
        var builder = FrameBatchBuilder()
        builder.append(to: .room(1)) { _ in }
        let empty = builder.isEmpty
        #expect(empty)
        builder.append(to: .room(1)) { $0.append("x") }
        let batch = builder.finish()
        #expect(batch.records.count == 1 && [UInt8](batch.bytes(of: batch.records[0])) == [0x81, 1, 0x78])
    }

    @Test("the loops of its sessions are known, those of its rooms are asked for")
    func loops() {
        var builder = FrameBatchBuilder()
        builder.append(to: .room(1)) { $0.append("x") }
        #expect(builder.loops == LoopSet())
        builder.append(to: .session(session)) { $0.append("x") }
        builder.append(to: .enter(SessionID(loop: 0, slot: 1, generation: 1), room: 4, name: "r"))
        builder.append(to: .leave(SessionID(loop: 63, slot: 1, generation: 1)))
        builder.append(to: .room(4)) { $0.append("y") }
        #expect((0..<LoopSet.limit).filter { builder.loops.contains($0) } == [0, 3, 63])
        var rooms: [UInt32] = []
        builder.forEachRoom { rooms.append($0) }
        #expect(rooms == [1, 4])
    }

    @Test("a session's id tells its loop, slot and generation, to the last of each")
    func sessionIDs() {
        let id = SessionID(loop: 63, slot: UInt32(SessionID.slotLimit - 1), generation: .max)
        #expect(id.loop == 63 && id.slot == 0xFF_FFFF && id.generation == .max)
        #expect(session.loop == 3 && session.slot == 9 && session.generation == 2)
    }
}

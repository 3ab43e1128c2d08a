import ConvergeTestSupport
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("Rooms") struct RoomsTests {
    @Test("a room's loops are those of its sessions")
    func loops() {
        var rooms = Rooms(loopCount: 3)
        let room = rooms.open("r")
        for loop in [0, 2, 2] { rooms.enter(room, loop: loop) }
        func loops() -> [Int] { (0..<3).filter { rooms.loops(in: room).contains($0) } }
        #expect(loops() == [0, 2])
        for (loop, left) in [(2, [0, 2]), (0, [2])] {
            rooms.leave(room, loop: loop)
            #expect(loops() == left)
        }
        #expect(rooms.occupied == 1 && rooms.occupiedRooms == [room])
        rooms.leave(room, loop: 2)
        #expect(rooms.occupied == 0 && rooms.occupiedRooms == [] && rooms.index(of: "r") == nil)
    }

    @Test("random comings and goings: two rooms never share an index, and one in use keeps its own")
    func indices() {
        var wrong: [String] = []
        for seed in UInt64(0)..<30 {
            var random = SplitMix64(seed: seed)
            var rooms = Rooms(loopCount: 2)
            // What holds each room: sessions and entries on their way.
            var sessions: [Text: Int] = [:]
            var entries: [Text: Int] = [:]
            var index: [Text: UInt32] = [:]
            for _ in 0..<400 {
                let name = Text("room \(Int.random(in: 0..<12, using: &random))")
                let held = sessions[name, default: 0] + entries[name, default: 0] > 0
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    let room = rooms.open(name)
                    if held, index[name] != room { wrong.append("seed \(seed): \(name) moved") }
                    index[name] = room
                    rooms.enter(room, loop: 0)
                    sessions[name, default: 0] += 1
                case 1 where sessions[name, default: 0] > 0:
                    rooms.leave(index[name]!, loop: 0)
                    sessions[name]! -= 1
                case 2 where held:
                    rooms.retain(index[name]!)
                    entries[name, default: 0] += 1
                case 3 where entries[name, default: 0] > 0:
                    rooms.release(index[name]!)
                    entries[name]! -= 1
                default: break
                }
                let inUse = index.filter { sessions[$0.key, default: 0] + entries[$0.key, default: 0] > 0 }
                if Set(inUse.values).count != inUse.count { wrong.append("seed \(seed): a shared index") }
                for (name, room) in inUse where rooms.index(of: name) != room || rooms.name(of: room) != name {
                    wrong.append("seed \(seed): \(name) is not at \(room)")
                }
                if rooms.occupied != sessions.values.count(where: { $0 > 0 }) {
                    wrong.append("seed \(seed): occupied")
                }
                for name in index.keys where inUse[name] == nil && rooms.index(of: name) != nil {
                    wrong.append("seed \(seed): \(name) is kept")
                }
            }
        }
        #expect(wrong == [])
    }
}

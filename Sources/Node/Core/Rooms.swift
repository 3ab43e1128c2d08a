import ConvergeWire

/// The rooms that matter on this node: where each has how many sessions. (Who is there, `Presence` knows.)
///
/// A room has a small index, which loops use instead of its name, from when its first session comes until nothing refers
/// to it any more: no session, and no entry that is still on its way to the store. Only then may the index name another
/// room, so that a late frame never reaches strangers.
struct Rooms {
    private struct Room {
        var name: Text
        /// Sessions on each loop.
        var loops: [Int32]
        var loopSet = LoopSet()
        var sessions = 0
        /// Entries of this room that are not committed yet.
        var uncommitted = 0
    }

    private var rooms: [Room?] = []
    private var free: [UInt32] = []
    private var indices: [Text: UInt32] = [:]
    private let loopCount: Int
    private(set) var occupied = 0

    init(loopCount: Int) { self.loopCount = loopCount }

    func index(of name: Text) -> UInt32? { indices[name] }
    func name(of room: UInt32) -> Text { rooms[Int(room)]!.name }
    func loops(in room: UInt32) -> LoopSet { rooms[Int(room)]?.loopSet ?? LoopSet() }

    /// The index for `name`, made where there is none; `retain` or `enter` must follow at once.
    mutating func open(_ name: Text) -> UInt32 {
        if let index = indices[name] { return index }
        let room = Room(name: name, loops: [Int32](repeating: 0, count: loopCount))
        let index: UInt32
        if let reused = free.popLast() {
            rooms[Int(reused)] = room
            index = reused
        } else {
            index = UInt32(rooms.count)
            rooms.append(room)
        }
        indices[name] = index
        return index
    }

    mutating func enter(_ room: UInt32, loop: Int) {
        let at = Int(room)
        rooms[at]!.sessions += 1
        if rooms[at]!.sessions == 1 { occupied += 1 }
        rooms[at]!.loops[loop] += 1
        rooms[at]!.loopSet.insert(loop)
    }

    mutating func leave(_ room: UInt32, loop: Int) {
        let at = Int(room)
        rooms[at]!.sessions -= 1
        if rooms[at]!.sessions == 0 { occupied -= 1 }
        rooms[at]!.loops[loop] -= 1
        if rooms[at]!.loops[loop] == 0 {
            var set = LoopSet()
            for (loop, sessions) in rooms[at]!.loops.enumerated() where sessions > 0 { set.insert(loop) }
            rooms[at]!.loopSet = set
        }
        closeIfUnused(room)
    }

    /// The rooms with a session on this node.
    var occupiedRooms: [UInt32] {
        rooms.indices.filter { (rooms[$0]?.sessions ?? 0) > 0 }.map(UInt32.init)
    }

    /// Keeps the index while an entry of the room is on its way.
    mutating func retain(_ room: UInt32) { rooms[Int(room)]!.uncommitted += 1 }

    mutating func release(_ room: UInt32) {
        rooms[Int(room)]!.uncommitted -= 1
        closeIfUnused(room)
    }

    private mutating func closeIfUnused(_ room: UInt32) {
        guard let unused = rooms[Int(room)], unused.sessions == 0, unused.uncommitted == 0 else { return }
        indices[unused.name] = nil
        rooms[Int(room)] = nil
        free.append(room)
        if indices.isEmpty { indices = [:] }  // gives back what many names have taken
    }
}

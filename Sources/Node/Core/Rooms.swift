import ConvergeWire

/// Who is in which room on this node.
///
/// A room has a small index, which loops use instead of its name, from when its first session comes until nothing refers
/// to it any more: no session, and no entry that is still on its way to the store. Only then may the index name another
/// room, so that a late frame never reaches strangers. A user comes into a room with its first session there and leaves
/// with its last.
struct Rooms {
    struct Occupant {
        var displayName: Text
        var sessions: Int
    }

    private struct Room {
        var name: Text
        var occupants: [Text: Occupant] = [:]
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

    /// True where this is the user's first session in the room.
    mutating func enter(_ room: UInt32, loop: Int, user: Text, displayName: Text) -> Bool {
        let at = Int(room)
        rooms[at]!.sessions += 1
        if rooms[at]!.sessions == 1 { occupied += 1 }
        rooms[at]!.loops[loop] += 1
        rooms[at]!.loopSet.insert(loop)
        rooms[at]!.occupants[user, default: Occupant(displayName: displayName, sessions: 0)].sessions += 1
        return rooms[at]!.occupants[user]!.sessions == 1
    }

    /// True where that was the user's last session in the room.
    mutating func leave(_ room: UInt32, loop: Int, user: Text) -> Bool {
        let at = Int(room)
        rooms[at]!.sessions -= 1
        if rooms[at]!.sessions == 0 { occupied -= 1 }
        rooms[at]!.loops[loop] -= 1
        if rooms[at]!.loops[loop] == 0 {
            var set = LoopSet()
            for (loop, sessions) in rooms[at]!.loops.enumerated() where sessions > 0 { set.insert(loop) }
            rooms[at]!.loopSet = set
        }
        rooms[at]!.occupants[user]!.sessions -= 1
        let last = rooms[at]!.occupants[user]!.sessions == 0
        if last { rooms[at]!.occupants[user] = nil }
        closeIfUnused(room)
        return last
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

    func contains(user: Text, in room: Text) -> Bool {
        guard let index = indices[room] else { return false }
        return rooms[Int(index)]!.occupants[user] != nil
    }

    /// The names of all rooms with someone in them, sorted.
    func names() -> [Text] {
        rooms.compactMap { room in room.flatMap { $0.sessions > 0 ? $0.name : nil } }.sorted()
    }

    /// Who is in the room, each user once, sorted by user.
    func occupants(of room: Text) -> [(user: Text, occupant: Occupant)] {
        guard let index = indices[room] else { return [] }
        return rooms[Int(index)]!.occupants.map { ($0.key, $0.value) }.sorted { $0.user < $1.user }
    }

    /// Every (room, user) that is there, sorted.
    func attendance() -> [(room: Text, user: Text, displayName: Text)] {
        names().flatMap { room in
            occupants(of: room).map { (room, $0.user, $0.occupant.displayName) }
        }
    }
}

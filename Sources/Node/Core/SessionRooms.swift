/// The rooms that a session is in.
///
/// The invariant: each room stands here once, and `Rooms` counts the session once for it. A few bytes a room, since a session
/// of the second generation may have very many.
struct SessionRooms: Sendable {
    struct Stay: Sendable {
        /// An index of the core's.
        var room: UInt32
        /// The number, and in the highest bit whether others see the session there: 8 bytes a room.
        private let bits: UInt32

        fileprivate init(room: UInt32, number: UInt32, isMember: Bool = true) {
            self.room = room
            bits = number & Self.numbers | (isMember ? ~Self.numbers : 0)
        }

        private static let numbers = UInt32.max >> 1

        /// Tells it from an earlier stay of the session in the room.
        var number: UInt32 { bits & Self.numbers }
        /// Others see the session there.
        var isMember: Bool { bits & ~Self.numbers != 0 }
    }

    private(set) var stays: [Stay]
    private var begun: UInt32 = 0

    /// A session of the second generation begins in none.
    init() { stays = [] }

    /// One of the first is always in one.
    init(_ room: UInt32) { stays = [Stay(room: room, number: 0)] }

    var count: Int { stays.count }

    /// The room that a session of the first generation is in.
    var current: UInt32 {
        get { stays[0].room }
        set { stays[0].room = newValue }
    }

    /// O(rooms of the session).
    subscript(room: UInt32) -> Stay? { stays.first { $0.room == room } }

    /// A stay in the room begins, or begins anew.
    mutating func begin(_ room: UInt32, isMember: Bool) -> Stay {
        begun &+= 1
        let stay = Stay(room: room, number: begun, isMember: isMember)
        if let at = stays.firstIndex(where: { $0.room == room }) {
            stays[at] = stay
        } else {
            // Not by doubling: very many sessions have very many rooms.
            if stays.count == stays.capacity { stays.reserveCapacity(stays.count + 16) }
            stays.append(stay)
        }
        return stay
    }

    mutating func end(_ room: UInt32) {
        if let at = stays.firstIndex(where: { $0.room == room }) { stays.swapAt(at, stays.count - 1) } else { return }
        stays.removeLast()
        if stays.isEmpty { stays = [] }  // gives back what many have taken
    }
}

/// The full screen as a value: keys, events and the time go in, effects and a grid come out.
///
/// Invariants: a message that was entered is in the draft, among the unsent, or in the conversation, at every moment; a
/// view that was scrolled up stays where it is whatever comes; what others write can change nothing but the text of its
/// own line. Bounds: `roomLimit` rooms, each with those of `Conversation`, `unsentLimit` unsent messages a room.
struct ChatScreen: Sendable {
    static let roomLimit = 32
    static let unsentLimit = 1_000
    static let memberLimit = 2_000

    let settings: ScreenSettings
    let clock: LocalClock
    private(set) var columns: Int
    private(set) var rows: Int

    var rooms: [RoomState] = []
    var current = 0
    /// Which room was looked at before.
    var previous: String?

    var userID = ""
    var displayName = ""

    var kills = KillRing()
    var history = InputHistory()
    var completion: Completion?
    /// Shown in place of the messages; nil where it is closed.
    var help: HelpPane?
    /// What the last key has come to, where a person looks: above what is being typed, until the next key.
    private(set) var hint: String?
    var bodyLimit = BodyLimit()
    /// The draft that is too long for one message: entered again, it is sent in several.
    var splitOffered: String?
    var nodeNames = NodeNames()

    /// Looking back through the history for what is typed.
    var search: (text: String, place: Int, before: String)?
    var knownRooms: [String] = []
    /// A person asked which rooms there are; the screen asks by itself, too, to complete their names.
    var wantsRoomList = false

    var showsRooms = true
    var showsMembers: Bool?
    /// Nothing beside the messages, so that the terminal's own selection gets them alone.
    var isBare = false

    /// Wall time as last told, in milliseconds since 1970.
    var now: Int64 = 0
    /// Somebody has been told that leaving would lose what is unsent.
    private var hasWarned = false
    private var tagCounter = 0
    private var lastBell: Int64 = .min

    init(columns: Int, rows: Int, settings: ScreenSettings = .init(), clock: LocalClock) {
        self.columns = max(columns, 1)
        self.rows = max(rows, 1)
        self.settings = settings
        self.clock = clock
        showsMembers = settings.showsMembers
    }

    mutating func resize(columns: Int, rows: Int) {
        self.columns = min(max(columns, 1), 1_000)
        self.rows = min(max(rows, 1), 500)
        clampAnchor()
    }

    // MARK: Rooms

    var room: RoomState? { rooms.indices.contains(current) ? rooms[current] : nil }

    func index(of name: String) -> Int? { rooms.firstIndex { $0.name.utf8.elementsEqual(name.utf8) } }

    /// Follows a room, or goes to it where it is followed.
    mutating func open(_ given: String, into effects: inout [ScreenEffect]) {
        let name = EnteredCommand.trimmed(given[...])
        if let index = index(of: name) { return show(index, &effects) }
        guard rooms.count < Self.roomLimit else {
            return note("no more than \(Self.roomLimit) rooms can be followed: /leave one first", isError: true)
        }
        rooms.append(RoomState(name: name))
        effects.append(.join(name))
        show(rooms.count - 1, &effects)
    }

    mutating func show(_ index: Int, _ effects: inout [ScreenEffect]) {
        guard rooms.indices.contains(index), index != current || rooms.count == 1 else { return }
        if index != current, let room {
            previous = room.name
            // What comes from now on is unread here.
            rooms[current].unreadSerial = nil
        }
        current = index
        completion = nil
        search = nil
        markRead()
    }

    /// What is looked at is read.
    mutating func markRead() {
        guard rooms.indices.contains(current), rooms[current].anchor == nil else { return }
        rooms[current].unread = 0
        rooms[current].mentions = 0
    }

    mutating func leaveRoom(_ effects: inout [ScreenEffect]) {
        guard let room else { return }
        guard rooms.count > 1 else {
            return note("this is the only room: /join another one first, or /quit", isError: true)
        }
        effects.append(.leave(room.name))
        rooms.remove(at: current)
        current = previous.flatMap { index(of: $0) } ?? min(current, rooms.count - 1)
        completion = nil
        markRead()
    }

    /// The next room where somebody named the reader, else where something is unread.
    mutating func showUnread(_ effects: inout [ScreenEffect]) {
        let order = (1...max(rooms.count, 1)).map { (current + $0) % max(rooms.count, 1) }
        guard
            let next = order.first(where: { rooms[$0].mentions > 0 }) ?? order.first(where: { rooms[$0].unread > 0 })
        else { return }
        show(next, &effects)
    }

    // MARK: Sending

    mutating func send(_ body: String, _ effects: inout [ScreenEffect]) {
        guard let room else { return }
        guard room.unsent.count < Self.unsentLimit else {
            return note("\(Self.unsentLimit) messages wait to be sent: this one is not taken", isError: true)
        }
        tagCounter += 1
        rooms[current].unsent.append(.init(tag: tagCounter, body: body, milliseconds: now))
        rooms[current].anchor = nil
        markRead()
        hasWarned = false
        effects.append(.send(room: room.name, body: body, tag: tagCounter))
    }

    /// Leaves; where that would lose what is unsent, only when asked a second time.
    mutating func quit(_ effects: inout [ScreenEffect]) {
        guard unsentCount > 0, !settings.keepsUnsent, !hasWarned else { return effects.append(.quit) }
        hasWarned = true
        let count = unsentCount
        note("\(count) unsent \(count == 1 ? "message" : "messages") would be lost: /quit again leaves", isError: true)
    }

    /// Says something where a person looks while typing.
    mutating func tell(_ hint: String?) { self.hint = hint }

    /// A line of the program's own, in the room that is looked at.
    mutating func note(_ text: String, isError: Bool = false, in index: Int? = nil) {
        let index = index ?? current
        guard rooms.indices.contains(index) else { return }
        add(.note(text, isError: isError), at: now, to: index)
    }

    mutating func add(_ content: Conversation.Item.Content, at milliseconds: Int64, to index: Int) {
        rooms[index].conversation.append(content, at: milliseconds)
        trim(index)
    }

    mutating func trim(_ index: Int) {
        let isScrolled = rooms[index].anchor != nil || rooms[index].keepsOlder
        guard rooms[index].conversation.trim(isScrolled: isScrolled) else { return }
        // What was dropped can be asked for again.
        if rooms[index].older == .whole { rooms[index].older = .unknown }
    }

    /// Not more often than once a second.
    mutating func ring(_ effects: inout [ScreenEffect]) {
        guard lastBell == .min || now - lastBell >= 1_000 || now < lastBell else { return }
        lastBell = now
        effects.append(.bell)
    }

    var unsentCount: Int { rooms.reduce(0) { $0 + $1.unsent.count } }

    /// When something on the screen changes by time alone: a countdown, or the clock's minute.
    func nextChange(after now: Int64) -> Int64 {
        let minute = (now / 60_000 + 1) * 60_000
        guard case .waiting(let until, _)? = room?.connection, until > now else { return minute }
        return min(minute, now + 1_000 - (now % 1_000))
    }
}

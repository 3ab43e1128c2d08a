/// One room that is followed: what was said in it, how its connection is, what is being typed for it.
struct RoomState: Sendable {
    /// Sent, and not seen in the room yet.
    struct Unsent: Hashable, Sendable {
        var tag: Int
        var body: String
        var milliseconds: Int64
    }

    enum Connection: Hashable, Sendable {
        case connecting(server: String)
        case live(server: String, node: String?)
        case waiting(until: Int64, reason: String)
        case ended(reason: String)
    }

    enum Older: Hashable, Sendable { case unknown, asked, whole, unavailable }

    /// Where the view's lower edge is: `hidden` rows of this item are below it.
    struct Anchor: Hashable, Sendable {
        var serial: Int
        var hidden: Int
    }

    let name: String
    var conversation = Conversation()
    var connection: Connection
    /// Since when there is none; nil while it stands.
    var lostSince: Int64?
    var latency: Int?
    var unsent: [Unsent] = []

    /// nil: the newest are shown, and what comes is followed.
    var anchor: Anchor?
    var older = Older.unknown
    /// How many more older entries a person has asked for, and how many have come.
    var wantedOlder: (rest: Int, came: Int)?
    /// They stay, though the newest are looked at.
    var keepsOlder = false
    /// A fresh token was refused, too, and that was told.
    var isTokenRefused = false
    /// The first item that was not read when the room was looked at last.
    var unreadSerial: Int?
    var unread = 0
    var mentions = 0

    var members: [ScreenMember] = []
    var memberCount = 0
    /// How many members are above those that the pane shows.
    var membersAbove = 0
    /// Who spoke, the last first, for completion.
    var speakers: [String] = []
    /// The names of its documents, for completion.
    var documents: [String] = []

    /// The draft that is typed for this room.
    var editor = LineEditor()

    init(name: String, server: String = "") {
        self.name = name
        connection = .connecting(server: server)
    }

    var isLive: Bool {
        if case .live = connection { true } else { false }
    }

    mutating func spoke(_ name: String) {
        if speakers.first == name { return }
        speakers.removeAll { $0 == name }
        speakers.insert(name, at: 0)
        if speakers.count > 200 { speakers.removeLast() }
    }

    mutating func came(_ member: ScreenMember) {
        let place = place(of: member.userID)
        guard !members.indices.contains(place) || members[place].userID != member.userID else { return }
        memberCount += 1
        if members.count < ChatScreen.memberLimit { members.insert(member, at: place) }
    }

    mutating func went(_ userID: String) {
        let place = place(of: userID)
        guard members.indices.contains(place), members[place].userID == userID else { return }
        members.remove(at: place)
        memberCount = max(memberCount - 1, members.count)
    }

    /// Where somebody stands among the members, or would: they are sorted by id.
    private func place(of userID: String) -> Int {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if members[middle].userID < userID { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

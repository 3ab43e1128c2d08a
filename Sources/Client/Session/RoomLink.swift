import ConvergeCRDT
import ConvergeWire

/// One connection at a time and the rooms that it brings: where it goes (`ReconnectMachine`), whether anybody is there
/// (`Heartbeat`), and what each room is shown (`RoomSession`).
///
/// A core; the shell connects, reads, writes and waits. With a node of the second generation it carries as many rooms as
/// the node's limit says, each by a subscription of its own (`Subscription`), from its own cursor; with one of the first it
/// carries the one that its URL named. What it can't carry is surplus, for whoever deals rooms out (`RoomLinks`) to take
/// back. Each connection has a number, so that what an old one still brings is not taken for the new one's.
struct RoomLink: Sendable {
    struct Options: Sendable {
        var reconnect = ReconnectMachine.Options()
        var session = RoomSession.Options()
    }

    enum Effect: Hashable {
        /// - Parameter refused: the number of the token that was refused.
        case wantToken(refused: Int?)
        /// Connect with the token last given, and tell `connected` or `connectFailed` under this number.
        /// - Parameters:
        ///   - room: for a server of the first generation, as is the cursor.
        case connect(number: Int, server: Int, room: String, cursor: String?)
        case send(ChatCommand)
        case ping(UInt64)
        /// Nothing more is wanted of the connection.
        case close
        case event(RoomEvent, room: String)
        case answer(Int, RoomAnswer)
        case failed(Int, RequestFailure)
        case sending(key: String, SendState)
        case document(DocumentKey, DocumentContent, room: String)
        /// The room is followed no more.
        case end(EndReason, room: String)
    }

    enum Phase: Hashable {
        /// There is no connection, though one may be wanted or waited for.
        case away
        case connecting
        /// The socket stands.
        case opening(until: UInt64)
        /// What is spoken is known.
        case welcoming(until: UInt64)
        case live
    }

    struct Member: Sendable {
        var session: RoomSession
        var subscription = Subscription()
    }

    let urls: [ServerURL]
    let options: Options
    private(set) var reconnect: ReconnectMachine
    /// Of waits for subscriptions.
    var generator: SeededGenerator
    private(set) var phase = Phase.away
    private(set) var generation = ProtocolGeneration.second
    /// How many rooms the connection takes; as many as there are until the server has said.
    var capacity = Int.max
    var members: [Member] = []
    /// Where in `members` each room is.
    var places: [String: Int] = [:]
    /// Of the connection that is, or is being made.
    private(set) var number = 0
    /// The room that its URL names.
    private var named: String?
    private var heartbeat: Heartbeat
    private var token: Int?
    private(set) var welcome: Welcome?
    private var nextRef = 0

    init(urls: [ServerURL], first: Int = 0, options: Options, generator: SeededGenerator) {
        self.urls = urls
        self.options = options
        reconnect = ReconnectMachine(
            servers: urls.count, first: first, options: options.reconnect, generator: generator)
        heartbeat = Heartbeat(options.session)
        var other = generator
        self.generator = SeededGenerator(seed: other.next())
    }

    var rooms: [String] { members.map(\.session.room) }
    /// Its connection brings, or may yet bring, rooms beside those that it has.
    var hasSpare: Bool { members.count < capacity }
    /// Its server speaks the second generation, and has said welcome.
    var isShared: Bool { phase == .live && generation == .second }

    func place(of room: String) -> Int? { places[room] }
    func session(of room: String) -> RoomSession? { places[room].map { members[$0].session } }

    func nextTick(_ outbox: Outbox) -> UInt64 {
        var next = min(reconnect.nextTick, heartbeat.nextTick)
        switch phase {
        case .opening(let until), .welcoming(let until): next = min(next, until)
        case .live:
            for place in members.indices {
                next = min(next, members[place].session.nextTick(outbox), members[place].subscription.nextTick)
            }
        case .away, .connecting: break
        }
        return next
    }

    // MARK: Towards a connection

    mutating func start(at now: UInt64, into effects: inout [Effect]) { drive(.start, at: now, &effects) }

    /// The token that was wanted is there, under this number.
    mutating func take(token number: Int, at now: UInt64, into effects: inout [Effect]) {
        token = number
        drive(.token, at: now, &effects)
    }

    mutating func tokenFailed(_ reason: String, at now: UInt64, into effects: inout [Effect]) {
        drive(.tokenFailed(reason), at: now, &effects)
    }

    /// The socket stands; false where nobody wants it any more.
    mutating func connected(_ number: Int, at now: UInt64) -> Bool {
        guard phase == .connecting, number == self.number else { return false }
        phase = .opening(until: now + options.session.patience.wholeNanoseconds)
        return true
    }

    mutating func connectFailed(_ number: Int, _ reason: String, at now: UInt64, into effects: inout [Effect]) {
        guard phase == .connecting, number == self.number else { return }
        phase = .away
        drive(.failed(reason), at: now, &effects)
    }

    mutating func drive(_ event: ReconnectMachine.Event, at now: UInt64, _ effects: inout [Effect]) {
        var decided: [ReconnectMachine.Effect] = []
        reconnect.handle(event, at: now, into: &decided)
        carry(decided, &effects)
    }

    private mutating func carry(_ decided: [ReconnectMachine.Effect], _ effects: inout [Effect]) {
        for effect in decided {
            switch effect {
            case .askToken(let isRefused): effects.append(.wantToken(refused: isRefused ? token : nil))
            case .connect(let server, let attempt):
                guard let first = members.first else { continue }
                number += 1
                phase = .connecting
                capacity = .max
                named = first.session.room
                tellAll(.connecting(urls[server], attempt: attempt), &effects)
                effects.append(
                    .connect(
                        number: number, server: server, room: first.session.room, cursor: first.session.urlCursor))
            case .wait(let delay, let reason): tellAll(.waiting(delay, reason: reason), &effects)
            case .end(let reason):
                let ended = rooms
                members = []
                places = [:]
                for room in ended {
                    effects.append(.event(.connection(.ended(reason)), room: room))
                    effects.append(.end(reason, room: room))
                }
            }
        }
    }

    private func tellAll(_ state: ConnectionState, _ effects: inout [Effect]) {
        for member in members { effects.append(.event(.connection(state), room: member.session.room)) }
    }

    // MARK: The connection

    mutating func handle(
        _ event: ConnectionMachine.Event, of number: Int, at now: UInt64, _ outbox: inout Outbox,
        into effects: inout [Effect]
    ) {
        guard number == self.number, phase != .connecting, phase != .away else { return }
        heartbeat.heard(at: now)
        switch event {
        case .opened(let generation): opened(generation, at: now, &outbox, &effects)
        case .unreadable:
            for room in rooms {
                effects.append(.event(.complaint("the server sent something that can't be read"), room: room))
            }
        case .pong(let number):
            guard let latency = heartbeat.pong(number, at: now) else { return }
            for room in rooms { effects.append(.event(.latency(latency), room: room)) }
        case .chat(.welcome(let welcome)): begin(welcome, at: now, &outbox, &effects)
        case .chat(let event):
            guard phase == .live else { return }
            if generation == .second { return route(event, at: now, &outbox, into: &effects) }
            step(0, at: now, &outbox, &effects) { $0.handle(event, at: now, &$1, into: &$2) }
        case .ended(let end):
            if case .closed(.messageTooBig?, _, byUs: false) = end { tooBig(at: now, &outbox, &effects) }
            gone(at: now, &outbox, &effects)
            effects.append(.close)
            drive(.ended(end), at: now, &effects)
        }
    }

    private mutating func opened(
        _ generation: ProtocolGeneration, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        guard case .opening = phase else { return }
        phase = .welcoming(until: now + options.session.patience.wholeNanoseconds)
        self.generation = generation
        guard generation == .first else { return }
        capacity = 1
        guard rooms.first == named else {
            return drop("the room that this connection was for was left", at: now, &outbox, &effects)
        }
        members[0].session.opened()
    }

    private mutating func begin(
        _ welcome: Welcome, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        guard case .welcoming = phase else { return }
        phase = .live
        self.welcome = welcome
        heartbeat.start(at: now)
        drive(.live, at: now, &effects)
        beat(at: now, &outbox, &effects)
        switch generation {
        case .first: step(0, at: now, &outbox, &effects) { $0.handle(.welcome(welcome), at: now, &$1, into: &$2) }
        case .second:
            capacity = max(welcome.roomLimit ?? .max, 1)
            for place in members.indices.prefix(capacity) { enter(place, at: now, &effects) }
        }
    }

    /// Something came over the connection.
    mutating func heard(at now: UInt64) { heartbeat.heard(at: now) }

    /// Nothing is read from the connection just now.
    mutating func paused(at now: UInt64) { heartbeat.paused(at: now) }

    mutating func tick(at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        var decided: [ReconnectMachine.Effect] = []
        reconnect.tick(at: now, into: &decided)
        carry(decided, &effects)
        switch phase {
        case .away, .connecting: break
        case .opening(let until), .welcoming(let until):
            if now >= until { drop("the server does not answer", at: now, &outbox, &effects) }
        case .live:
            beat(at: now, &outbox, &effects)
            guard phase == .live else { return }
            subscribeDue(at: now, &outbox, into: &effects)
            for place in members.indices where phase == .live {
                step(place, at: now, &outbox, &effects) { $0.tick(at: now, &$1, into: &$2) }
            }
        }
    }

    private mutating func beat(at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]) {
        switch heartbeat.tick(at: now) {
        case .ping(let number): effects.append(.ping(number))
        case .silence: drop("the server has fallen silent", at: now, &outbox, &effects)
        case nil: break
        }
    }

    /// The server has ended the connection because a message was too big for it: the biggest that was on its way.
    private mutating func tooBig(at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]) {
        let sizes = members.indices.map { outbox.largestInFlight(in: members[$0].session.room) ?? -1 }
        guard let place = sizes.indices.max(by: { sizes[$0] < sizes[$1] }), sizes[place] >= 0 else { return }
        step(place, at: now, &outbox, &effects) { $0.tooBig(&$1, into: &$2) }
    }

    mutating func gone(at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]) {
        phase = .away
        welcome = nil
        heartbeat.stop()
        // What the old connection brings from here on is nobody's.
        number += 1
        for place in members.indices {
            members[place].subscription.connectionLost()
            step(place, at: now, &outbox, &effects) { $0.ended(&$1, into: &$2) }
        }
    }

    mutating func drop(_ reason: String, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]) {
        gone(at: now, &outbox, &effects)
        effects.append(.close)
        drive(.failed(reason), at: now, &effects)
    }

    // MARK: A room's session

    /// Lets a room's session do something, and carries out what it wants.
    mutating func step(
        _ place: Int, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect],
        _ body: (inout RoomSession, inout Outbox, inout [RoomSession.Effect]) -> Void
    ) {
        guard members.indices.contains(place) else { return }
        var shown: [RoomSession.Effect] = []
        body(&members[place].session, &outbox, &shown)
        let room = members[place].session.room
        for effect in shown {
            switch effect {
            case .send(let command): send(command, room, &effects)
            case .drop(let reason): return drop(reason, at: now, &outbox, &effects)
            case .event(let event): effects.append(.event(event, room: room))
            case .answer(let id, let answer): effects.append(.answer(id, answer))
            case .failed(let id, let failure): effects.append(.failed(id, failure))
            case .sending(let key, let state): effects.append(.sending(key: key, state))
            case .document(let key, let content): effects.append(.document(key, content, room: room))
            case .live:
                tellLive(nil, room, &effects)
                if let node = welcome?.node { tellLive(node, room, &effects) }
            case .serves(let node): tellLive(node, room, &effects)
            }
        }
    }

    /// How many names a page is asked to have: as many as a server gives.
    static let pageLimit = 1_000

    /// In the second generation a command says which room it is about, and lists are answered in pages; in the first one a
    /// limit would cut them.
    private func send(_ command: ChatCommand, _ room: String, _ effects: inout [Effect]) {
        var command = command
        if generation == .second {
            if command.type != "rooms" { command.room = room }
            if ["rooms", "users"].contains(command.type), command.limit == nil { command.limit = Self.pageLimit }
        }
        effects.append(.send(command))
    }

    private func tellLive(_ node: String?, _ room: String, _ effects: inout [Effect]) {
        guard let welcome else { return }
        let state = ConnectionState.live(
            urls[reconnect.server], node: node, userID: welcome.userID, displayName: welcome.displayName)
        effects.append(.event(.connection(state), room: room))
    }

    mutating func newRef() -> String {
        nextRef += 1
        return "s\(nextRef)"
    }
}

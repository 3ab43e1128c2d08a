import ConvergeCRDT
import ConvergeWire

/// One room that a client follows: where it connects (`ReconnectMachine`) and what it is shown (`RoomSession`), together.
///
/// A core; the shell connects, reads, writes and waits. Each connection has a number, so that what an old one still brings
/// is not taken for the new one's.
struct FollowedRoom: Sendable {
    struct Options: Sendable {
        var reconnect = ReconnectMachine.Options()
        var session = RoomSession.Options()
    }

    enum Effect: Hashable {
        /// - Parameter refused: the number of the token that was refused.
        case wantToken(refused: Int?)
        /// Connect with the token last given, and tell `connected` or `connectFailed` under this number.
        case connect(number: Int, server: Int, cursor: String?)
        case send(ChatCommand)
        case ping(UInt64)
        /// Nothing more is wanted of the connection.
        case close
        case event(RoomEvent)
        case answer(Int, RoomAnswer)
        case failed(Int, RequestFailure)
        case sending(key: String, SendState)
        case document(DocumentKey, DocumentContent)
        /// It is over.
        case end(EndReason)
    }

    private let urls: [ServerURL]
    private(set) var reconnect: ReconnectMachine
    private(set) var session: RoomSession
    /// Of the connection that is, or is being made.
    private(set) var number = 0
    private var isConnecting = false
    private var isOpening = false
    private var openingUntil: UInt64 = .max
    private let patience: UInt64
    private var token: Int?
    private var welcome: Welcome?

    init(room: String, urls: [ServerURL], first: Int = 0, options: Options, generator: SeededGenerator) {
        self.urls = urls
        reconnect = ReconnectMachine(
            servers: urls.count, first: first, options: options.reconnect, generator: generator)
        session = RoomSession(room: room, options: options.session)
        patience = options.session.patience.wholeNanoseconds
    }

    var room: String { session.room }
    var isLive: Bool { session.isLive }

    func nextTick(_ outbox: Outbox) -> UInt64 {
        min(reconnect.nextTick, session.nextTick(outbox), isOpening ? openingUntil : .max)
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
        guard isConnecting, number == self.number else { return false }
        isConnecting = false
        isOpening = true
        openingUntil = now + patience
        return true
    }

    mutating func connectFailed(_ number: Int, _ reason: String, at now: UInt64, into effects: inout [Effect]) {
        guard isConnecting, number == self.number else { return }
        isConnecting = false
        drive(.failed(reason), at: now, &effects)
    }

    private mutating func drive(_ event: ReconnectMachine.Event, at now: UInt64, _ effects: inout [Effect]) {
        var decided: [ReconnectMachine.Effect] = []
        reconnect.handle(event, at: now, into: &decided)
        carry(decided, &effects)
    }

    private mutating func carry(_ decided: [ReconnectMachine.Effect], _ effects: inout [Effect]) {
        for effect in decided {
            switch effect {
            case .askToken(let isRefused): effects.append(.wantToken(refused: isRefused ? token : nil))
            case .connect(let server, let attempt):
                number += 1
                isConnecting = true
                effects.append(.event(.connection(.connecting(urls[server], attempt: attempt))))
                effects.append(.connect(number: number, server: server, cursor: session.urlCursor))
            case .wait(let delay, let reason):
                effects.append(.event(.connection(.waiting(delay, reason: reason))))
            case .end(let reason):
                effects.append(.event(.connection(.ended(reason))))
                effects.append(.end(reason))
            }
        }
    }

    // MARK: The connection

    mutating func handle(
        _ event: ConnectionMachine.Event, of number: Int, at now: UInt64, _ outbox: inout Outbox,
        into effects: inout [Effect]
    ) {
        guard number == self.number, !isConnecting else { return }
        var shown: [RoomSession.Effect] = []
        switch event {
        case .opened:
            isOpening = false
            session.opened(at: now)
        case .unreadable: effects.append(.event(.complaint("the server sent something that can't be read")))
        case .pong(let number): session.pong(number, at: now, into: &shown)
        case .chat(let event): session.handle(event, at: now, &outbox, into: &shown)
        case .ended(let end):
            if case .closed(.messageTooBig?, _, byUs: false) = end { session.tooBig(&outbox, into: &shown) }
            gone(&outbox, &shown)
            carry(shown, at: now, &outbox, &effects)
            effects.append(.close)
            drive(.ended(end), at: now, &effects)
            return
        }
        carry(shown, at: now, &outbox, &effects)
    }

    /// Something came over the connection.
    mutating func heard(at now: UInt64) { session.heard(at: now) }

    /// Nothing is read from the connection just now.
    mutating func paused(at now: UInt64) { session.paused(at: now) }

    mutating func tick(at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        var decided: [ReconnectMachine.Effect] = []
        reconnect.tick(at: now, into: &decided)
        carry(decided, &effects)
        if isOpening, now >= openingUntil {
            drop("the server does not answer", at: now, &outbox, &effects)
        } else {
            var shown: [RoomSession.Effect] = []
            session.tick(at: now, &outbox, into: &shown)
            carry(shown, at: now, &outbox, &effects)
        }
    }

    private mutating func gone(_ outbox: inout Outbox, _ shown: inout [RoomSession.Effect]) {
        isOpening = false
        welcome = nil
        // What the old connection brings from here on is nobody's.
        number += 1
        session.ended(&outbox, into: &shown)
    }

    private mutating func drop(
        _ reason: String, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        var shown: [RoomSession.Effect] = []
        gone(&outbox, &shown)
        carry(shown, at: now, &outbox, &effects)
        effects.append(.close)
        drive(.failed(reason), at: now, &effects)
    }

    private mutating func carry(
        _ shown: [RoomSession.Effect], at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        for effect in shown {
            switch effect {
            case .send(let command): effects.append(.send(command))
            case .ping(let number): effects.append(.ping(number))
            case .drop(let reason):
                drop(reason, at: now, &outbox, &effects)
                return
            case .event(let event): effects.append(.event(event))
            case .answer(let id, let answer): effects.append(.answer(id, answer))
            case .failed(let id, let failure): effects.append(.failed(id, failure))
            case .sending(let key, let state): effects.append(.sending(key: key, state))
            case .document(let key, let content): effects.append(.document(key, content))
            case .live(let welcome):
                self.welcome = welcome
                drive(.live, at: now, &effects)
                tellLive(nil, &effects)
            case .serves(let node): tellLive(node, &effects)
            }
        }
    }

    private func tellLive(_ node: ReplicaID?, _ effects: inout [Effect]) {
        guard let welcome else { return }
        effects.append(
            .event(
                .connection(
                    .live(
                        urls[reconnect.server], node: node.map { "\($0)" }, userID: welcome.userID,
                        displayName: welcome.displayName))))
    }

    // MARK: What the user wants

    mutating func request(_ id: Int, _ request: RoomRequest, _ outbox: Outbox, into effects: inout [Effect]) {
        var shown: [RoomSession.Effect] = []
        session.request(id, request, outbox, into: &shown)
        for effect in shown {
            switch effect {
            case .send(let command): effects.append(.send(command))
            case .failed(let id, let failure): effects.append(.failed(id, failure))
            default: preconditionFailure("a request is sent or fails")
            }
        }
    }

    /// Somebody does not want to wait: the next attempt is made now, and a connection that stands is made anew.
    mutating func reconnect(at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        if session.isLive {
            drop("a new connection was asked for", at: now, &outbox, &effects)
        }
        drive(.retry, at: now, &effects)
    }

    /// Messages have been put into the outbox.
    mutating func pump(at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        var shown: [RoomSession.Effect] = []
        session.pump(at: now, &outbox, into: &shown)
        carry(shown, at: now, &outbox, &effects)
    }

    mutating func follow(_ key: DocumentKey, into effects: inout [Effect]) {
        var shown: [RoomSession.Effect] = []
        // One too many is never asked for: its value stays unknown.
        _ = session.follow(key, into: &shown)
        for case .send(let command) in shown { effects.append(.send(command)) }
    }

    mutating func unfollow(_ key: DocumentKey) { session.unfollow(key) }

    /// Ends it, whatever is unsent.
    mutating func leave(at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        guard !reconnect.isOver else { return }
        var shown: [RoomSession.Effect] = []
        gone(&outbox, &shown)
        carry(shown, at: now, &outbox, &effects)
        isConnecting = false
        effects.append(.close)
        drive(.stop, at: now, &effects)
    }
}

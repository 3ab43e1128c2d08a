import ConvergeCRDT
import ConvergeWire

/// One followed room over many connections: what the client has been shown of it, what it has asked, and what it is told.
///
/// A core: what a connection brings of the room goes in, effects come out. The same for both generations of the protocol,
/// which differ in how the room is entered: by the connection's welcome, or by a subscription on it. The cursor is kept as
/// docs/protocol.md ("Resume") says. Invariants: a line is handed out once; lines are handed out in the order in which the
/// room showed them, and what was missed before what is live; `resumed` stands where the room was away, and says whether
/// anything may be missing there; a request has one answer, or fails when its connection goes.
public struct RoomSession: Sendable {
    public struct Options: Hashable, Sendable {
        /// How long a server may take for its welcome.
        public var patience: Duration = .seconds(10)
        public var pingEvery: Duration = .seconds(15)
        /// Nothing was heard for so long: the connection is lost.
        public var lostAfter: Duration = .seconds(40)
        /// How many requests may wait for an answer.
        public var requests = 256
        /// How many ids are kept to know repeats by.
        public var seenIDs = 4_096

        public init() {}
    }

    enum Effect: Hashable {
        case send(ChatCommand)
        /// The connection is no good.
        case drop(reason: String)
        case event(RoomEvent)
        case answer(Int, RoomAnswer)
        case failed(Int, RequestFailure)
        /// A message that the outbox holds has got on; it is told as an event, too.
        case sending(key: String, SendState)
        case document(DocumentKey, DocumentContent)
        /// The room has been entered.
        case live
        case serves(node: String)
    }

    enum Phase: Hashable {
        case away
        /// There is a connection; it is not known yet whether it brings the room.
        case entering
        case resuming
        case live
    }

    /// In a URL: what fits beside a token into the head that servers take.
    static let urlLimit = 3_000
    /// How many live frames may wait for the end of a resume that was asked for by a frame.
    static let heldLimit = 1_000

    public let room: String
    /// Tells its refs from those of other rooms on the same connection.
    private let number: Int
    private let options: Options
    private(set) var phase = Phase.away
    /// What was shown of the room; nil where that is not known: before the first welcome, and with servers that don't say.
    private(set) var cursor: VersionVector?
    private var hasBegun = false
    private var seen: SeenIDs
    private(set) var documents: DocumentViews
    private var missed = 0
    private var isRecovered = true
    private var held: [ChatEvent] = []

    private var requests: [String: Int] = [:]
    private var counter = 0

    /// Who serves it, where that is known.
    private var node: String?

    /// - Parameter number: another one for each room of a client.
    public init(room: String, number: Int = 0, options: Options = .init()) {
        self.room = room
        self.number = number
        self.options = options
        documents = DocumentViews(number: number)
        seen = SeenIDs(capacity: options.seenIDs)
    }

    /// Requests and writes are taken.
    var isLive: Bool {
        switch phase {
        case .resuming, .live: true
        case .away, .entering: false
        }
    }

    /// What to put into the URL; nil where there is nothing to resume from, or too much for a URL.
    var urlCursor: String? {
        guard let text = cursor?.cursorText, text.utf8.count <= Self.urlLimit else { return nil }
        return text
    }

    // MARK: The connection

    /// There is a connection that the room will be entered on.
    /// - Parameter node: who serves it, where that is known already.
    mutating func opened(by node: String? = nil) {
        phase = .entering
        self.node = node
        missed = 0
        isRecovered = true
        held = []
    }

    /// The connection is gone, and with it what was in flight.
    mutating func ended(_ outbox: inout Outbox, into effects: inout [Effect]) {
        guard phase != .away else { return }
        phase = .away
        held = []
        documents.connectionLost()
        for id in requests.values.sorted() { effects.append(.failed(id, .connectionLost)) }
        requests = [:]
        for message in outbox.connectionLost(in: room) { tell(message.key, .queued, &effects) }
    }

    /// The server has ended the subscription, not the connection: the next one goes on from where this one ended, and what
    /// has been asked is answered all the same.
    mutating func interrupted(isRecovered: Bool) {
        switch phase {
        case .away, .entering: return
        case .live:
            phase = .resuming
            missed = 0
            held = []
            self.isRecovered = isRecovered
        case .resuming: self.isRecovered = self.isRecovered && isRecovered
        }
    }

    /// When `tick` is to be called, at the latest.
    func nextTick(_ outbox: Outbox) -> UInt64 {
        isLive ? min(outbox.retryTime(in: room) ?? .max, documents.retryAt) : .max
    }

    mutating func tick(at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        guard isLive else { return }
        for command in documents.tick(at: now) { effects.append(.send(command)) }
        pump(at: now, &outbox, into: &effects)
    }

    // MARK: What is asked and sent

    mutating func request(_ id: Int, _ request: RoomRequest, _ outbox: Outbox, into effects: inout [Effect]) {
        guard isLive else { return effects.append(.failed(id, .notConnected)) }
        guard requests.count < options.requests else { return effects.append(.failed(id, .tooMany)) }
        counter += 1
        let ref = "q\(number).\(counter)"
        requests[ref] = id
        effects.append(.send(request.command(ref: ref, after: outbox.highest)))
    }

    /// An answer or error with this mark is for this room.
    func owns(_ ref: String, _ outbox: Outbox) -> Bool {
        requests[ref] != nil || documents.isOwn(ref) || outbox.isInFlight(ref, in: room)
    }

    mutating func follow(_ key: DocumentKey, into effects: inout [Effect]) -> Bool {
        guard documents.follow(key) else { return false }
        // While it resumes, answers would overtake the changes that wait: at the end everything is asked for.
        if phase == .live { refresh([], &effects) }
        return true
    }

    mutating func unfollow(_ key: DocumentKey) { documents.unfollow(key) }

    private mutating func refresh(_ names: [String]?, _ effects: inout [Effect]) {
        for command in documents.refresh(names) { effects.append(.send(command)) }
    }

    /// Sends what may be sent of the room's unsent messages.
    mutating func pump(at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        guard isLive else { return }
        while let message = outbox.next(in: room, at: now) {
            var command = ChatCommand.message(message.body, ref: message.key, key: message.key)
            command.copies = message.copies
            command.after = outbox.highest
            effects.append(.send(command))
            tell(message.key, .sent, &effects)
        }
    }

    private func tell(_ key: String, _ state: SendState, _ effects: inout [Effect]) {
        effects.append(.sending(key: key, state))
        effects.append(.event(.sending(key: key, state)))
    }

    // MARK: What comes

    mutating func handle(_ event: ChatEvent, at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        switch event {
        case .welcome(let welcome): begin(welcome, at: now, &outbox, &effects)
        case .subscribed(let beginning): begin(beginning, at: now, &outbox, &effects)
        case _ where !isLive: break
        case .message(let line), .system(let line):
            if case .resuming = phase, held.count < Self.heldLimit, cursor.map({ !covers($0, line.dot) }) ?? true {
                held.append(event)
            } else {
                show(event, line, isMissed: false, &outbox, &effects)
            }
        case .history(let page) where page.isResume: take(page, &outbox, &effects)
        case .resumed(let end): resumed(end, &outbox, &effects)
        case .document(let document): take(document, &outbox, &effects)
        case .ack(let receipt, let ref): acknowledged(receipt, ref, at: now, &outbox, &effects)
        case .error(let error): refused(error, at: now, &outbox, &effects)
        case .rooms, .users, .history, .documents: answer(event, &effects)
        case .joined, .unsubscribed, .cursors, .unknown: break
        }
    }

    /// First generation: the connection is in the room.
    private mutating func begin(
        _ welcome: Welcome, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        guard case .entering = phase else { return }
        effects.append(.live)
        if hasBegun, let cursor, welcome.cursor != nil {
            phase = .resuming
            if urlCursor == nil { effects.append(.send(.resume(from: cursor, ref: "resume"))) }
        } else {
            goOn(from: welcome.cursor, &effects)
        }
        hasBegun = true
        pump(at: now, &outbox, into: &effects)
    }

    /// Second generation: the subscription has begun, with the cursor that there is.
    private mutating func begin(
        _ beginning: Subscribed, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        switch phase {
        case .away, .live: return
        case .entering:
            effects.append(.live)
            if cursor == nil { goOn(from: beginning.cursor, &effects) } else { phase = .resuming }
        case .resuming:
            effects.append(.live)
            if cursor == nil { goOn(from: beginning.cursor, &effects) }
        }
        hasBegun = true
        pump(at: now, &outbox, into: &effects)
    }

    /// Live frames follow; what was before them, if anything, is not known.
    private mutating func goOn(from cursor: VersionVector?, _ effects: inout [Effect]) {
        phase = .live
        self.cursor = cursor
        if hasBegun { effects.append(.event(.resumed(recovered: false, missed: 0, documents: []))) }
        refresh(nil, &effects)
    }

    /// What the server says that the room was shown: it covers frames of other rooms, too, and so stays young where this
    /// room is quiet. While a resume is under way its pages say how far it has come.
    mutating func join(_ cursor: VersionVector) {
        if phase == .live { self.cursor?.merge(cursor) }
    }

    private func covers(_ cursor: VersionVector, _ dot: Dot?) -> Bool { dot.map(cursor.covers) ?? false }

    /// Hands a line out unless it was before. Live ones move the cursor, save while it waits for the end of a resume.
    private mutating func show(
        _ event: ChatEvent, _ line: ChatLine, isMissed: Bool, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        if let position = line.position { outbox.saw(position) }
        if let dot = line.dot, cursor != nil {
            if cursor?.covers(dot) ?? false { return }
            if phase == .live { cursor?[dot.replica] = dot.seq }
        }
        hand(event, line, isMissed: isMissed, &effects)
    }

    private mutating func hand(_ event: ChatEvent, _ line: ChatLine, isMissed: Bool, _ effects: inout [Effect]) {
        guard seen.insert(line) else { return }
        if isMissed { missed += 1 }
        if case .message = event {
            effects.append(.event(.message(line, isMissed: isMissed)))
        } else {
            effects.append(.event(.presence(line, joined: line.isJoining, isMissed: isMissed)))
        }
    }

    private mutating func take(_ page: HistoryFrame, _ outbox: inout Outbox, _ effects: inout [Effect]) {
        guard case .resuming = phase else { return }
        if !page.isRecovered { isRecovered = false }
        var entries = page.entries.compactMap { entry in Self.line(of: entry).map { (entry, $0, isMissed: true) } }
        if !held.isEmpty, let reached = page.cursor {
            // What was shown live before is not on the page, though its cursor may cover it: it belongs between.
            let waiting = held
            held = []
            for entry in waiting {
                if let line = Self.line(of: entry), covers(reached, line.dot) {
                    entries.append((entry, line, isMissed: false))
                } else {
                    held.append(entry)
                }
            }
            entries.sort { Self.precedes($0.1, $1.1) }
        }
        // A node gives what the cursor does not cover, and besides what it could not take the cursor's word for: there the
        // ids tell what was shown.
        for (entry, line, isMissed) in entries {
            if let position = line.position { outbox.saw(position) }
            hand(entry, line, isMissed: isMissed, &effects)
        }
        if let reached = page.cursor, cursor != nil { cursor = reached }
    }

    private mutating func resumed(_ end: Resumed, _ outbox: inout Outbox, _ effects: inout [Effect]) {
        guard case .resuming = phase else { return }
        if let reached = end.cursor {
            // It has all of what was given, save what could not be used: that is begun anew.
            cursor = reached
        }
        let recovered = isRecovered && end.isRecovered
        phase = .live
        effects.append(.event(.resumed(recovered: recovered, missed: missed, documents: end.documents)))
        refresh(recovered ? end.documents : nil, &effects)
        // The cursor has these in it; they were not shown yet.
        let waiting = held
        held = []
        for event in waiting {
            if let line = Self.line(of: event) { hand(event, line, isMissed: false, &effects) }
        }
    }

    /// In the order of history; what has no place is first.
    private static func precedes(_ a: ChatLine, _ b: ChatLine) -> Bool {
        guard let later = b.position else { return false }
        return a.position.map { $0 < later } ?? true
    }

    private static func line(of event: ChatEvent) -> ChatLine? {
        switch event {
        case .message(let line), .system(let line): line
        default: nil
        }
    }

    private mutating func take(_ event: DocumentEvent, _ outbox: inout Outbox, _ effects: inout [Effect]) {
        if let position = event.position { outbox.saw(position) }
        if let dot = event.dot, cursor != nil {
            if cursor?.covers(dot) ?? false { return }
            if phase == .live { cursor?[dot.replica] = dot.seq }
        }
        if !documents.isOwn(event.ref) { effects.append(.event(.document(event))) }
        let (changed, ask) = documents.handle(event)
        if let (key, content) = changed { effects.append(.document(key, content)) }
        if let ask { effects.append(.send(ask)) }
    }

    private mutating func acknowledged(
        _ receipt: Receipt, _ ref: String?, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        guard let ref else { return }
        if let position = receipt.position {
            outbox.saw(position)
            if node == nil, !receipt.isDuplicate {
                node = "\(position.dot.replica)"
                effects.append(.serves(node: "\(position.dot.replica)"))
            }
        }
        if let id = requests.removeValue(forKey: ref) {
            effects.append(.answer(id, .stored(receipt)))
        } else if outbox.isInFlight(ref, in: room) {
            outbox.stored(ref, in: room)
            tell(ref, .stored(receipt), &effects)
            pump(at: now, &outbox, into: &effects)
        }
    }

    private mutating func refused(
        _ error: ServerError, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        guard let ref = error.ref else { return effects.append(.event(.complaint(error.reason))) }
        if let id = requests.removeValue(forKey: ref) {
            effects.append(.failed(id, .refused(error.words)))
        } else if outbox.isInFlight(ref, in: room) {
            switch outbox.refused(ref, error, in: room, at: now) {
            case .again: tell(ref, .queued, &effects)
            case .refused(let reason): tell(ref, .refused(reason), &effects)
            }
            pump(at: now, &outbox, into: &effects)
        } else if ref == "resume" {
            effects.append(.drop(reason: "the server refuses to resume: \(error.reason)"))
        } else if !documents.refused(error, at: now) {
            effects.append(.event(.complaint(error.reason)))
        }
    }

    private mutating func answer(_ event: ChatEvent, _ effects: inout [Effect]) {
        guard let ref = event.ref, let id = requests.removeValue(forKey: ref), let answer = RoomAnswer(event) else {
            return
        }
        effects.append(.answer(id, answer))
    }

    /// The server has ended the connection because a message was too big for it.
    mutating func tooBig(_ outbox: inout Outbox, into effects: inout [Effect]) {
        guard let message = outbox.tooBig(in: room) else { return }
        tell(message.key, .refused("message too big"), &effects)
    }
}

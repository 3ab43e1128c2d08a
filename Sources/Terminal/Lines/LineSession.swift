import ConvergeClient
import ConvergeWire

/// Decides for the line client: what a line means, what is shown, when it may leave and with which exit status.
///
/// A core: lines, the client library's events and the time go in, effects come out. The library reconnects, fills gaps and
/// keeps what is unsent; this says what of it is told. Invariants: few requests are unanswered at any time, so piping a
/// large file needs little memory here and at the server; a command waits for everything before it, and what follows it for
/// its answer; it leaves with 0 only if all that was read has been answered. While input may come it waits for a
/// connection for ever, but for the first one; at the end of input only as long as something gets on.
struct LineSession {
    enum Effect: Hashable {
        /// Follow a room, or follow it no more.
        case join(String)
        case leave(String)
        /// Connect now.
        case reconnect(String)
        /// Ask a server what nodes are called.
        case lookUp(ServerURL)
        /// - Parameter line: of the input; nil where a person types.
        case send(String, room: String, line: Int?)
        case ask(LineQuestion, room: String)
        case print(String)
        /// For the error output: how things stand.
        case note(String)
        /// For the error output: something has failed.
        case complain(String)
        case exit(Int32)
    }

    enum Phase { case connecting, chatting, finishing, over }

    private static let second: UInt64 = 1_000_000_000
    static let inFlight = 64
    /// How long each server may take for the first connection.
    static let connectLimit = 10 * second
    /// After the end of input, how long nothing may get on.
    static let patience = 30 * second
    /// How long one's own messages, once stored, may take to come back through the room.
    static let echoWait = second
    /// After a question that the loss of the connection has answered.
    static let askAgainAfter = second / 5
    /// What a node says of documents when the library asks; what a person asks for is answered to the question.
    static let answers = ["crdt_orset_values", "crdt_lww_value", "crdt_counter_value", "doc_value"]

    var phase = Phase.connecting
    private(set) var room: String
    var format: LineFormat
    /// A person types: mistakes are told, but don't make the whole a failure.
    let isInteractive: Bool

    // How the connection stands.
    var first: FirstConnection
    /// The one that serves the room, or did last.
    var server = ""
    var node: String?
    var names = NodeNames()
    var latency: Duration?
    var isLive = false
    /// What was missed is still coming.
    var isResuming = false
    var lossReason = ""

    // What is unanswered.
    /// Messages that the library has and no node.
    var messages = 0
    private var isAsking = false
    private var question: (asked: LineQuestion, line: Int?)?
    /// The room that is being entered.
    var entering: (room: String, line: Int?)?
    /// What waits for what is before it, in order.
    private var held: [(request: LineRequest, line: Int?)] = []
    /// Which line each message is that the library has: no more than `inFlight`.
    var lines: [String: Int] = [:]
    /// How many lines have been read.
    private var lineCount = 0
    private var askAgainAt: UInt64 = 0
    private var failures = 0

    // The end.
    private var deadline: UInt64
    var progress: UInt64
    /// Nobody can write more input than there is.
    private var isInputWhole = false
    var echoes = Echoes()
    var echoUntil: UInt64 = 0

    /// - Parameter servers: how many there are.
    init(room: String, servers: Int, format: LineFormat, isInteractive: Bool, at now: UInt64) {
        self.room = Text(room).trimmed().string
        first = FirstConnection(servers: max(servers, 1))
        self.format = format
        self.isInteractive = isInteractive
        progress = now
        deadline = now + Self.connectLimit * UInt64(first.servers)
    }

    mutating func start(into effects: inout [Effect]) { effects.append(.join(room)) }

    var wantsInput: Bool { phase == .chatting && unanswered < Self.inFlight }

    /// When `tick` is to be called, at the latest.
    var nextTick: UInt64 {
        switch phase {
        case .connecting: return deadline
        case .over: return .max
        case .chatting, .finishing:
            var next = UInt64.max
            if mayEnd { next = progress + Self.patience }
            if phase == .finishing, isDone, echoes.areAwaited { next = min(next, echoUntil) }
            if case .ask? = held.first?.request, isLive, !isResuming, !isAsking, messages == 0 {
                next = min(next, askAgainAt)
            }
            return next
        }
    }

    private var unanswered: Int { messages + held.count + (isAsking ? 1 : 0) }

    /// Nothing is waited for, but perhaps the sight of one's own messages.
    private var isDone: Bool { unanswered == 0 && !isResuming }

    /// It is given up when nothing gets on.
    private var mayEnd: Bool { phase == .finishing || (isInputWhole && unanswered > 0) }

    // MARK: Input

    mutating func handle(_ line: LineSplitter.Line, at now: UInt64, into effects: inout [Effect]) {
        guard phase == .chatting else { return }
        lineCount += 1
        let number = isInteractive ? nil : lineCount
        guard case .text(let text) = line else {
            return mistake("that line is too long", number, &effects)
        }
        switch EnteredCommand(text) {
        case .nothing: break
        case .message(let body): request(.message(body), number, at: now, &effects)
        case .join(let room): request(.join(Text(room).trimmed().string), number, at: now, &effects)
        case .rooms: request(.ask(.rooms), number, at: now, &effects)
        case .users: request(.ask(.users), number, at: now, &effects)
        case .history(let limit): request(.ask(.history(limit)), number, at: now, &effects)
        case .documents: request(.ask(.documents), number, at: now, &effects)
        case .document(let change): request(.ask(.document(change)), number, at: now, &effects)
        case .reconnect: effects.append(.reconnect(room))
        case .status: effects.append(.print(format.status(status)))
        case .help: effects += LineRequest.help.map { .print(format.notice($0)) }
        case .quit: endOfInput(at: now, into: &effects)
        case .leave: mistake("/leave is for the full screen: /join goes to another room", number, &effects)
        case .mistake(let what): mistake(what, number, &effects)
        }
    }

    mutating func endOfInput(at now: UInt64, into effects: inout [Effect]) {
        guard phase == .chatting else { return }
        phase = .finishing
        progress = now
        if isInteractive, !isLive, unanswered > 0 {
            effects.append(.note("\(unanswered) unsent: waiting for a connection; Ctrl-C leaves without"))
        }
        proceed(at: now, &effects)
    }

    /// Nobody writes to the input any more; what is left of it may be waiting to be read.
    mutating func inputIsWhole(at now: UInt64) {
        guard !isInputWhole else { return }
        isInputWhole = true
        progress = now
    }

    /// The user wants out, whatever is unanswered.
    mutating func interrupt(into effects: inout [Effect]) { exit(130, &effects) }

    private mutating func request(
        _ request: LineRequest, _ line: Int?, at now: UInt64, _ effects: inout [Effect]
    ) {
        if case .ask = request, isInteractive, !isLive, entering == nil {
            return mistake("not connected", line, &effects)
        }
        if unanswered == 0 { progress = now }
        held.append((request, line))
        release(at: now, &effects)
    }

    /// Lets go what need not wait: messages together, a command when all before it is answered.
    private mutating func release(at now: UInt64, _ effects: inout [Effect]) {
        while let next = held.first, !isAsking {
            switch next.request {
            case .message(let body):
                guard messages < Self.inFlight else { return }
                messages += 1
                effects.append(.send(body, room: room, line: next.line))
            case .join(let name):
                guard messages == 0 else { return }
                enter(name, next.line, &effects)
            case .ask(let asked):
                guard messages == 0, isLive, !isResuming, now >= askAgainAt else { return }
                isAsking = true
                question = (asked, next.line)
                effects.append(.ask(asked, room: room))
            }
            held.removeFirst()
        }
    }

    mutating func mistake(_ what: String, _ line: Int?, _ effects: inout [Effect]) {
        failures += 1
        complain(what, line, &effects)
    }

    /// - Parameter line: which of the input it is about.
    private func complain(_ what: String, _ line: Int?, _ effects: inout [Effect]) {
        if format.isJSON {
            effects.append(.print(LineJSON.error(what, line: line)))
        } else {
            effects.append(.complain(line.map { "line \($0): \(what)" } ?? what))
        }
    }

    // MARK: Rooms

    private mutating func enter(_ name: String, _ line: Int?, _ effects: inout [Effect]) {
        // The library takes such names for one.
        guard name != room else { return tellJoined(&effects) }
        isAsking = true
        entering = (name, line)
        effects.append(.join(name))
    }

    /// A room that was to be entered can't be. Where it was the first, there is nothing to do.
    mutating func notJoined(_ name: String, _ reason: String, at now: UInt64, into effects: inout [Effect]) {
        guard let entering, name == entering.room else {
            if name == room { giveUp(reason, &effects) }
            return
        }
        self.entering = nil
        isAsking = false
        mistake(reason, entering.line, &effects)
        proceed(at: now, &effects)
    }

    private mutating func tellJoined(_ effects: inout [Effect]) {
        effects += format.lines(.joined(room: room, cursor: nil, ref: nil)).map { .print($0) }
    }

    /// Events of the room that is being entered: one stays where one was until it is there.
    mutating func arrive(_ event: RoomEvent, at now: UInt64, _ effects: inout [Effect]) {
        guard case .connection(let state) = event, let name = entering?.room else { return }
        switch state {
        case .live(let url, let node, let userID, _):
            effects.append(.leave(room))
            room = name
            entering = nil
            isAsking = false
            isResuming = false
            echoes = Echoes()
            let wasLive = isLive
            isLive = false
            live(url, node, userID, at: now, &effects)
            if !wasLive { tellBack(&effects) }
            tellJoined(&effects)
            progress = now
            proceed(at: now, &effects)
        // Of an earlier stay.
        case .ended(.left): break
        case .ended(let reason): notJoined(name, reason.message, at: now, into: &effects)
        case .connecting, .waiting: break
        }
    }

    // MARK: Answers

    mutating func answered(_ answer: LineAnswer, at now: UInt64, into effects: inout [Effect]) {
        guard phase != .over, let (asked, line) = question else { return }
        question = nil
        isAsking = false
        switch answer {
        case .shown(let events, let note):
            effects += events.flatMap { format.lines($0) }.map { .print($0) }
            if let note { effects.append(.print(format.notice(note))) }
        case .refused(let reason): mistake(reason, line, &effects)
        case .interrupted(let reason):
            if isInteractive {
                mistake(reason, line, &effects)
            } else {
                held.insert((.ask(asked), line), at: 0)
                askAgainAt = now + Self.askAgainAfter
                return
            }
        }
        progress = now
        proceed(at: now, &effects)
    }

    /// A part of an answer has come.
    mutating func gotOn(at now: UInt64) { progress = now }

    /// Something outside that can't be helped here, such as a token that can't be had just now.
    mutating func trouble(_ what: String, into effects: inout [Effect]) {
        if phase != .over { complain(what, nil, &effects) }
    }

    // MARK: The end

    mutating func proceed(at now: UInt64, _ effects: inout [Effect]) {
        release(at: now, &effects)
        guard phase == .finishing, isDone, !echoes.areAwaited || now >= echoUntil else { return }
        exit(failures > 0 && !isInteractive ? 1 : 0, &effects)
    }

    /// The shell could do nothing for a while, since nobody took its output: that is nobody else's fault.
    mutating func wasHeldUp(until now: UInt64) {
        progress = now
        if phase == .connecting { deadline = max(deadline, now + Self.connectLimit) }
    }

    mutating func tick(at now: UInt64, into effects: inout [Effect]) {
        guard now >= nextTick else { return }
        switch phase {
        case .connecting:
            first.failed("the server does not answer")
            giveUp(nil, &effects)
        case .chatting, .finishing:
            if mayEnd, now >= progress + Self.patience {
                giveUp(isLive ? "the server does not answer" : "not connected: \(lossReason)", &effects)
            } else {
                proceed(at: now, &effects)
            }
        case .over: break
        }
    }

    mutating func giveUp(_ reason: String?, _ effects: inout [Effect]) {
        if phase == .connecting { for failure in first.failures { complain(failure, nil, &effects) } }
        if let reason { complain(reason, nil, &effects) }
        if unanswered > 0 {
            let verb = unanswered == 1 ? "was" : "were"
            complain("\(unanswered) of what was sent \(verb) not acknowledged", nil, &effects)
        }
        exit(1, &effects)
    }

    private mutating func exit(_ status: Int32, _ effects: inout [Effect]) {
        guard phase != .over else { return }
        phase = .over
        effects.append(.exit(status))
    }

    // MARK: Telling

    private var status: LineStatus {
        LineStatus(
            room: room, userID: format.ownID ?? "", server: server, node: node,
            nodeName: node.flatMap { names.name(of: $0) }, latency: isLive ? latency : nil,
            isLive: isLive, reason: lossReason, unsent: messages)
    }
}

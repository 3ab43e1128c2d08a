import ConvergeClient
import ConvergeWire

/// Decides for the line client: what a line means, what is shown, when it may leave and with which exit status.
///
/// A core: lines, events and the time go in, effects come out. Invariants: it takes input only while few requests are
/// unanswered, so piping a large file needs little memory here and at the server; at the end of input it leaves with 0
/// only if all that was sent has been answered.
struct LineSession {
    enum Effect: Hashable {
        case send(ChatCommand)
        case ping
        case print(String)
        /// For the error output.
        case complain(String)
        /// Begin the close handshake.
        case close
        case exit(Int32)
    }

    enum Phase { case connecting, chatting, finishing, closing, over }

    private struct Request {
        var ref: String
        var command: ChatCommand
        /// Seen in the room: as good as answered by a server that acknowledges nothing.
        var isEchoed = false
    }

    private static let second: UInt64 = 1_000_000_000
    static let inFlight = 64
    /// How long the server may take for the welcome, and for each further answer at the end.
    static let patience = 10 * second
    static let closeWait = 2 * second
    static let holdLimit = 3 * second
    static let pingAfter = 30 * second
    static let lostAfter = 75 * second

    private(set) var phase = Phase.connecting
    private var format: LineFormat
    /// A person types: mistakes are told, but don't make the whole a failure.
    private let isInteractive: Bool
    private var requests: [Request] = []
    /// Commands that wait until the messages before them are answered: a message that is still on its way to the store
    /// would be shown to a room that `/join` has left, and missing from `/history`.
    private var held: [ChatCommand] = []
    private var heldSince: UInt64 = 0
    private var counter = 0
    private var hasSeenAnswers = false
    private var failures = 0
    private var status: Int32 = 0
    private var deadline: UInt64
    private var heard: UInt64
    private var pinged: UInt64

    init(format: LineFormat, isInteractive: Bool, at now: UInt64) {
        self.format = format
        self.isInteractive = isInteractive
        deadline = now + Self.patience
        heard = now
        pinged = now
    }

    var wantsInput: Bool { phase == .chatting && held.isEmpty && requests.count < Self.inFlight }

    /// When `tick` is to be called, at the latest.
    var nextTick: UInt64 {
        switch phase {
        case .connecting, .finishing, .closing: deadline
        case .chatting:
            min(
                max(heard, pinged) + Self.pingAfter, heard + Self.lostAfter,
                held.isEmpty ? .max : heldSince + Self.holdLimit)
        case .over: .max
        }
    }

    // MARK: Input

    mutating func handle(_ line: LineSplitter.Line, at now: UInt64, into effects: inout [Effect]) {
        guard phase == .chatting else { return }
        guard case .text(let text) = line else {
            return mistake("that line is too long", &effects)
        }
        switch LineInput(text) {
        case .nothing: break
        case .message(let body): request(.message(body), at: now, &effects)
        case .join(let room): request(.join(room), at: now, &effects)
        case .rooms: request(.rooms(), at: now, &effects)
        case .users: request(.users(), at: now, &effects)
        case .history(let limit): request(.history(limit: limit), at: now, &effects)
        case .help: effects += LineInput.commandList.map { .print(format.notice($0)) }
        case .quit: endOfInput(at: now, into: &effects)
        case .mistake(let what): mistake(what, &effects)
        }
    }

    mutating func endOfInput(at now: UInt64, into effects: inout [Effect]) {
        guard phase == .chatting else { return }
        phase = .finishing
        deadline = now + Self.patience
        leaveIfDone(at: now, &effects)
    }

    /// The user wants out, whatever is unanswered.
    mutating func interrupt(at now: UInt64, into effects: inout [Effect]) {
        switch phase {
        case .chatting, .finishing: close(with: 130, at: now, &effects)
        case .connecting, .closing: exit(130, &effects)
        case .over: break
        }
    }

    private mutating func request(_ command: ChatCommand, at now: UInt64, _ effects: inout [Effect]) {
        if held.isEmpty && !mustWait(command) {
            send(command, &effects)
        } else {
            if held.isEmpty { heldSince = now }
            held.append(command)
        }
    }

    private func mustWait(_ command: ChatCommand) -> Bool {
        command.type != "message" && requests.contains { $0.command.type == "message" && !$0.isEchoed }
    }

    private mutating func release(at now: UInt64, _ effects: inout [Effect]) {
        while let next = held.first, !mustWait(next) {
            send(held.removeFirst(), &effects)
            heldSince = now
        }
    }

    /// The server doesn't answer messages; what waits for that goes all the same.
    private mutating func releaseAll(_ effects: inout [Effect]) {
        for command in held { send(command, &effects) }
        held = []
    }

    private mutating func send(_ command: ChatCommand, _ effects: inout [Effect]) {
        counter += 1
        var command = command
        command.ref = "c\(counter)"
        requests.append(Request(ref: "c\(counter)", command: command))
        effects.append(.send(command))
    }

    private mutating func mistake(_ what: String, _ effects: inout [Effect]) {
        failures += 1
        effects.append(.complain(what))
    }

    // MARK: The server

    mutating func handle(_ event: ConnectionMachine.Event, at now: UInt64, into effects: inout [Effect]) {
        heard = now
        switch event {
        case .opened, .pong: break
        case .unreadable: effects.append(.complain("the server sent something that can't be read"))
        case .ended(let end): ended(end, &effects)
        case .chat(let event):
            if case .welcome(let welcome) = event {
                format.ownID = welcome.userID
                if phase == .connecting { phase = .chatting }
            }
            if case .error(let text, _) = event { mistake(text, &effects) }
            effects += format.lines(event).map { .print($0) }
            settle(event)
            release(at: now, &effects)
            if phase == .finishing {
                deadline = now + Self.patience
                leaveIfDone(at: now, &effects)
            }
        }
    }

    /// Something came that isn't an event, such as a pong.
    mutating func heard(at now: UInt64) { heard = now }

    /// Takes off the list what the event answers.
    private mutating func settle(_ event: ChatEvent) {
        if let ref = event.ref {
            hasSeenAnswers = true
            requests.removeAll { $0.ref == ref }
            return
        }
        // A server that knows no refs: the kind of an answer must do.
        switch event {
        case .rooms: settleFirst { $0.type == "rooms" }
        case .users: settleFirst { $0.type == "users" }
        case .history: settleFirst { $0.type == "history" }
        case .error: settleFirst { _ in true }
        case .message(let line) where line.userID == format.ownID:
            echo { $0.type == "message" && $0.body == line.body }
        case .system(let line) where line.userID == format.ownID: echo { $0.type == "join" && $0.room == line.room }
        default: break
        }
    }

    private mutating func settleFirst(where matches: (ChatCommand) -> Bool) {
        guard !hasSeenAnswers, let index = requests.firstIndex(where: { matches($0.command) }) else { return }
        requests.remove(at: index)
    }

    private mutating func echo(where matches: (ChatCommand) -> Bool) {
        guard let index = requests.firstIndex(where: { !$0.isEchoed && matches($0.command) }) else { return }
        requests[index].isEchoed = true
    }

    // MARK: The end

    private mutating func leaveIfDone(at now: UInt64, _ effects: inout [Effect]) {
        if !held.isEmpty { return }
        if requests.isEmpty {
            close(with: failures > 0 && !isInteractive ? 1 : 0, at: now, &effects)
        } else if !hasSeenAnswers, requests.allSatisfy(\.isEchoed) {
            // All of it came back through the room. An ack may be on its way, or there is none.
            deadline = min(deadline, now + Self.second)
        }
    }

    private mutating func close(with status: Int32, at now: UInt64, _ effects: inout [Effect]) {
        phase = .closing
        self.status = status
        deadline = now + Self.closeWait
        effects.append(.close)
    }

    private mutating func exit(_ status: Int32, _ effects: inout [Effect]) {
        phase = .over
        effects.append(.exit(status))
    }

    mutating func tick(at now: UInt64, into effects: inout [Effect]) {
        guard now >= nextTick else { return }
        switch phase {
        case .connecting:
            effects.append(.complain("the server does not answer"))
            exit(1, &effects)
        case .finishing where !held.isEmpty:
            releaseAll(&effects)
            deadline = now + Self.patience
        case .finishing:
            if !hasSeenAnswers, requests.allSatisfy(\.isEchoed) {
                requests.removeAll()
                leaveIfDone(at: now, &effects)
            } else {
                effects.append(.complain(unanswered))
                close(with: 1, at: now, &effects)
            }
        case .closing: exit(status, &effects)
        case .chatting:
            if now >= heard + Self.lostAfter {
                ended(.lost, &effects)
            } else if !held.isEmpty, now >= heldSince + Self.holdLimit {
                releaseAll(&effects)
            } else {
                pinged = now
                effects.append(.ping)
            }
        case .over: break
        }
    }

    private var unanswered: String {
        "\(requests.count) of what was sent \(requests.count == 1 ? "was" : "were") not acknowledged"
    }

    private mutating func ended(_ end: ConnectionEnd, _ effects: inout [Effect]) {
        if phase == .closing {
            exit(status, &effects)
        } else if phase != .over {
            effects.append(.complain(end.explanation))
            if !requests.isEmpty { effects.append(.complain(unanswered)) }
            exit(1, &effects)
        }
    }
}

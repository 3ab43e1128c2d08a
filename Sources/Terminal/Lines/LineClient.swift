import ConvergeClient
import ConvergeTransport
import Glibc

/// The plain terminal client: lines in, lines out. Works at a terminal in its own line editing, and through pipes.
///
/// The shell around `ChatClient` and `LineSession`: it reads, writes and waits, and decides nothing. One thread does it.
/// Bounds: where nobody takes the output, it takes no more events, and the library then reads no more from the servers;
/// input is read only while the session wants it.
public struct LineClient: ~Copyable {
    public struct Options: Sendable {
        /// The servers of one cluster, in the order in which they are tried.
        public var servers: [ServerURL]
        public var room: String
        public var token: String?
        /// Prints a token, where none is given.
        public var tokenCommand: String?
        /// Certificates that may vouch for a server of `wss://`, beside the system's.
        public var authorityFile: String?
        /// File descriptors, so that tests can use pipes.
        public var input: Int32 = 0
        public var output: Int32 = 1
        public var errors: Int32 = 2
        /// No colours even on a terminal.
        public var isPlain = false
        /// Prints a JSON object for each event instead of a line of text.
        public var isJSON = false
        /// How many events may wait to be printed before nothing more is read from the servers.
        var eventBuffer = 10_000

        public init(servers: [ServerURL], room: String, token: String?) {
            self.servers = servers
            self.room = room
            self.token = token
        }
    }

    /// How many events are handled before input and interruptions are looked at again.
    private static let slice = 500

    private let options: Options
    /// Readable when the user wants to leave; -1 for none.
    private let interruptions: Int32
    private let client: ChatClient
    private let mailbox: Mailbox<LineArrival>
    private let requests: LineRequests
    private var session: LineSession
    private var splitter = LineSplitter()
    private var inbox: [LineArrival] = []
    private var inboxPlace = 0
    private var batch: ArraySlice<ClientEvent> = []
    /// Tells the task that takes events that the batch is done with.
    private let taken: AsyncStream<Void>.Continuation
    private var isInputWhole = false
    private var exitStatus: Int32?

    /// Connects and chats until the end of input, or of hope.
    ///
    /// - Parameter interruptions: gives a descriptor that becomes readable when the user wants to leave, or -1. Called when
    ///   the token is there, before the client's threads are.
    /// - Returns: the exit status: 0; 1 where no server could be had at first, where one refused the connection for good,
    ///   where a command or message from a pipe was refused, or was not answered when nothing got on any more after the
    ///   end of input; 130 after an interruption.
    public static func run(_ options: Options, interruptions: () -> Int32 = { -1 }) -> Int32 {
        let redErrors = !options.isPlain && isatty(options.errors) == 1
        func fail(_ text: String) -> Int32 {
            let line = options.isJSON ? LineJSON.error(text, line: nil) : LineFormat.error(text, hasColours: redErrors)
            let bytes = Array((line + "\n").utf8)
            let descriptor = options.isJSON ? options.output : options.errors
            _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            return 1
        }
        do throws(SystemError) {
            let mailbox = try Mailbox<LineArrival>()
            let source: TokenSource
            do throws(TokenCommand.Failure) {
                source = try TokenSource(
                    token: options.token, command: options.tokenCommand.map { TokenCommand(command: $0) }
                ) { mailbox.post(.trouble($0)) }
            } catch {
                return fail(error.message)
            }
            let descriptor = interruptions()
            do throws(ChatClientError) {
                let client = try ChatClient(
                    urls: options.servers, token: { try await source.token() }, options: Self.settings(options))
                var lines = LineClient(options, client, mailbox, descriptor)
                return lines.loop()
            } catch {
                return fail(error.message)
            }
        } catch {
            return fail(error.description)
        }
    }

    private static func settings(_ options: Options) -> ChatClient.Options {
        var settings = ChatClient.Options()
        settings.authorityFile = options.authorityFile
        settings.eventBuffer = options.eventBuffer
        // The one that is entered, and the one that is left then.
        settings.maxRooms = 2
        settings.outbox.window = LineSession.inFlight
        // A server that has fallen silent is left while there is patience for another.
        settings.session.pingEvery = .seconds(8)
        settings.session.lostAfter = .seconds(20)
        return settings
    }

    private init(_ options: Options, _ client: ChatClient, _ mailbox: Mailbox<LineArrival>, _ interruptions: Int32) {
        self.options = options
        self.client = client
        self.mailbox = mailbox
        self.interruptions = interruptions
        requests = LineRequests(client: client, mailbox: mailbox)
        var format = LineFormat(
            hasColours: !options.isPlain && isatty(options.output) == 1, time: { LocalTime.short($0) })
        format.isJSON = options.isJSON
        session = LineSession(
            room: options.room, servers: Set(options.servers).count, format: format,
            isInteractive: isatty(options.input) == 1, at: SystemClock.monotonic())
        var status = stat()
        if fstat(options.input, &status) == 0, status.st_mode & S_IFMT == S_IFREG { isInputWhole = true }

        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        taken = continuation
        Task(priority: .high) {
            var turns = stream.makeAsyncIterator()
            while let batch = await client.nextEvents() {
                mailbox.post(.events(batch))
                _ = await turns.next()
            }
        }
    }

    // MARK: The loop

    private mutating func loop() -> Int32 {
        var effects: [LineSession.Effect] = []
        session.start(into: &effects)
        if isInputWhole { session.inputIsWhole(at: SystemClock.monotonic()) }
        carryOut(effects)
        while exitStatus == nil {
            var waits = [
                pollfd(fd: mailbox.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: inputDescriptor, events: session.wantsInput ? Int16(POLLIN) : 0, revents: 0),
                pollfd(fd: interruptions, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&waits, nfds_t(waits.count), pause)
            if waits[2].revents != 0 { interrupt() }
            takeArrivals()
            if waits[1].revents & Int16(POLLHUP | POLLERR | POLLNVAL) != 0, !isInputWhole {
                isInputWhole = true
                session.inputIsWhole(at: SystemClock.monotonic())
            }
            if waits[1].revents != 0, session.wantsInput { readInput() }
            step { session, now, effects in session.tick(at: now, into: &effects) }
        }
        return finish()
    }

    /// Looked at for its end, too, as long as that is news.
    private var inputDescriptor: Int32 { session.wantsInput || !isInputWhole ? options.input : -1 }

    /// In milliseconds, for `poll`.
    private var pause: Int32 {
        if !batch.isEmpty || inboxPlace < inbox.count { return 0 }
        let now = SystemClock.monotonic()
        guard session.nextTick > now else { return 0 }
        return Int32(clamping: (session.nextTick - now) / 1_000_000 + 1)
    }

    private mutating func step(_ body: (inout LineSession, UInt64, inout [LineSession.Effect]) -> Void) {
        guard exitStatus == nil else { return }
        var effects: [LineSession.Effect] = []
        body(&session, SystemClock.monotonic(), &effects)
        carryOut(effects)
    }

    private mutating func takeArrivals() {
        var rest = Self.slice
        var effects: [LineSession.Effect] = []
        let now = SystemClock.monotonic()
        while rest > 0, exitStatus == nil {
            if let event = batch.popFirst() {
                session.handle(event, at: now, into: &effects)
                rest -= 1
                if batch.isEmpty { taken.yield() }
                continue
            }
            if inboxPlace == inbox.count {
                inbox.removeAll(keepingCapacity: true)
                inboxPlace = 0
                mailbox.drain(into: &inbox)
                if inbox.isEmpty { break }
            }
            switch inbox[inboxPlace] {
            case .events(let next):
                batch = next[...]
                if next.isEmpty { taken.yield() }
            case .answer(let answer): session.answered(answer, at: now, into: &effects)
            case .progress: session.gotOn(at: now)
            case .names(let names): session.learn(names)
            case .trouble(let what): session.trouble(what, into: &effects)
            }
            inboxPlace += 1
            rest -= 1
        }
        carryOut(effects)
    }

    private mutating func readInput() {
        // Little at a time, so that what one read holds never is far over the limit of requests in flight.
        withUnsafeTemporaryAllocation(byteCount: 4_096, alignment: 16) { buffer in
            let count = read(options.input, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { return }
            let lines = splitter.feed(buffer[..<max(count, 0)])
            let last = count <= 0 ? splitter.finish() : nil
            step { session, now, effects in
                for line in lines { session.handle(line, at: now, into: &effects) }
                if let last { session.handle(last, at: now, into: &effects) }
                if count <= 0 { session.endOfInput(at: now, into: &effects) }
            }
        }
    }

    private mutating func interrupt() {
        var byte: UInt8 = 0
        _ = read(interruptions, &byte, 1)
        step { session, _, effects in session.interrupt(into: &effects) }
    }

    // MARK: Effects

    private mutating func carryOut(_ effects: [LineSession.Effect]) {
        var effects = effects[...]
        // One write for all lines: a page of history is one piece.
        var lines = ""
        while exitStatus == nil, let effect = effects.popFirst() {
            var more: [LineSession.Effect] = []
            let now = SystemClock.monotonic()
            switch effect {
            case .print(let line): lines += line + "\n"
            case .note(let text):
                show(&lines)
                complain(LineFormat.note(text, hasColours: redErrors))
            case .complain(let text):
                show(&lines)
                complain(LineFormat.error(text, hasColours: redErrors))
            case .join(let room):
                if let reason = requests.join(room) { session.notJoined(room, reason, at: now, into: &more) }
            case .leave(let room): requests.leave(room)
            case .reconnect(let room): requests.reconnect(room)
            case .lookUp(let url): requests.lookUp(url, authorityFile: options.authorityFile)
            case .send(let body, let room, let line):
                switch requests.send(body, to: room) {
                case .sent(let key): session.sent(key: key, line: line)
                case .refused(let reason): session.notSent(reason, line: line, at: now, into: &more)
                }
            case .ask(let question, let room): requests.ask(question, in: room)
            case .exit(let status):
                show(&lines)
                exitStatus = exitStatus ?? status
            }
            if !more.isEmpty { effects = (effects + more)[...] }
        }
        show(&lines)
    }

    private var redErrors: Bool { !options.isPlain && isatty(options.errors) == 1 }

    private mutating func complain(_ line: String) { _ = write(line + "\n", to: options.errors) }

    private mutating func show(_ lines: inout String) {
        if !lines.isEmpty, let error = write(lines, to: options.output) {
            // Where nobody reads any more, a shell sees what it would of SIGPIPE.
            if error != EPIPE {
                let reason = "standard output can't be written: \(String(cString: strerror(error)))"
                complain(LineFormat.error(reason, hasColours: redErrors))
            }
            exitStatus = exitStatus ?? (error == EPIPE ? 128 + SIGPIPE : 1)
        }
        lines = ""
    }

    /// Writes all of it, or until an interruption; the system's error where that can't be.
    private mutating func write(_ text: String, to descriptor: Int32) -> Int32? {
        var bytes = Array(text.utf8)[...]
        let began = SystemClock.monotonic()
        while !bytes.isEmpty {
            var waits = [
                pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0),
                pollfd(fd: interruptions, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&waits, nfds_t(waits.count), -1) >= 0 else { continue }
            guard waits[0].revents != 0 else {
                exitStatus = 130
                return nil
            }
            // A pipe that has room for anything takes so much without blocking.
            let piece = bytes.prefix(Int(PIPE_BUF))
            let count = piece.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR, errno != EAGAIN {
                return errno
            }
        }
        let now = SystemClock.monotonic()
        if now - began > 100_000_000 { session.wasHeldUp(until: now) }
        return nil
    }

    /// Lets the connection close, for a moment.
    private func finish() -> Int32 {
        let closed = OneShot()
        let client = client
        Task(priority: .high) {
            await client.close()
            closed.signal()
        }
        closed.wait(milliseconds: 500)
        return exitStatus ?? 1
    }
}

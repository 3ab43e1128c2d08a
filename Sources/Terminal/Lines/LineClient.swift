import ConvergeClient
import ConvergeTransport
import ConvergeWire
import Glibc

/// The plain terminal client: lines in, lines out. Works at a terminal in its own line editing, and through pipes.
///
/// The shell around `ConnectionMachine` and `LineSession`: it reads, writes and waits, and decides nothing.
public struct LineClient: ~Copyable {
    public struct Options: Sendable {
        public var server: ServerURL
        public var room: String
        public var token: String?
        /// Certificates that may vouch for a server of `wss://`, beside the system's.
        public var authorityFile: String?
        /// File descriptors, so that tests can use pipes.
        public var input: Int32 = 0
        public var output: Int32 = 1
        public var errors: Int32 = 2
        /// Readable when the user wants to leave; -1 for none.
        public var interruptions: Int32 = -1
        /// No colours even on a terminal.
        public var isPlain = false
        /// Prints a JSON object for each event instead of a line of text.
        public var isJSON = false
        public var connectTimeout: Duration = .seconds(10)

        public init(server: ServerURL, room: String, token: String?) {
            self.server = server
            self.room = room
            self.token = token
        }
    }

    private let options: Options
    private var link: ServerLink
    private var machine: ConnectionMachine
    private var session: LineSession
    private var splitter = LineSplitter()
    private var exitStatus: Int32?

    /// Connects and chats until the end of input or of the connection.
    ///
    /// - Parameter connected: called when the connection stands, before anything is read.
    /// - Returns: the exit status: 0; 1 for a connection that failed, was refused or was lost, or for a command or
    ///   message from a pipe that was; 130 after an interruption.
    public static func run(_ options: Options, connected: (inout Options) -> Void = { _ in }) -> Int32 {
        var options = options
        let redErrors = !options.isPlain && isatty(options.errors) == 1
        func fail(_ text: String) -> Int32 {
            Self.write(LineFormat.error(text, hasColours: redErrors) + "\n", to: options.errors)
            return 1
        }
        let key = Base64.encode(SecureRandom.bytes(16))
        var sha1 = Digester.sha1()
        let accept = Base64.encode(
            (key + Array(UpgradeRequest.acceptSuffix.description.utf8)).withUnsafeBytes { sha1.hash($0) })
        guard
            let handshake = ClientHandshake(
                url: options.server, room: options.room, token: options.token, key: key, accept: accept)
        else { return fail("the token has characters that no token has") }
        do throws(ServerLink.Failure) {
            let link = try ServerLink.connect(
                to: options.server, authorityFile: options.authorityFile, timeout: options.connectTimeout)
            connected(&options)
            var client = LineClient(options, link, handshake)
            return client.loop()
        } catch {
            return fail("can't connect to \(options.server.authority): \(error.message)")
        }
    }

    private init(_ options: Options, _ link: consuming ServerLink, _ handshake: ClientHandshake) {
        self.options = options
        self.link = link
        machine = ConnectionMachine(handshake: handshake)
        var format = LineFormat(
            hasColours: !options.isPlain && isatty(options.output) == 1, time: { LocalTime.short($0) })
        format.isJSON = options.isJSON
        session = LineSession(
            format: format, isInteractive: isatty(options.input) == 1, at: SystemClock.monotonic())
    }

    private mutating func loop() -> Int32 {
        while true {
            var effects: [LineSession.Effect] = []
            session.tick(at: SystemClock.monotonic(), into: &effects)
            carryOut(effects)
            flush()
            if let exitStatus { return exitStatus }

            var waits = [
                pollfd(fd: link.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wantsInput ? options.input : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: options.interruptions, events: Int16(POLLIN), revents: 0),
            ]
            if !machine.unsent.isEmpty || link.wantsWrite { waits[0].events |= Int16(POLLOUT) }
            let now = SystemClock.monotonic()
            let milliseconds = session.nextTick > now ? (session.nextTick - now) / 1_000_000 + 1 : 0
            guard poll(&waits, nfds_t(waits.count), Int32(clamping: milliseconds)) >= 0 else {
                precondition(errno == EINTR, "poll failed: \(errno)")
                continue
            }
            if waits[2].revents != 0 { interrupt() }
            if waits[0].revents != 0 { receive() }
            if waits[1].revents != 0 { readInput() }
        }
    }

    private var wantsInput: Bool { session.wantsInput && machine.unsent.count < 65_536 }

    private mutating func flush() {
        link.flush()
        while !machine.unsent.isEmpty {
            guard case .moved(let count) = link.send(machine.unsent) else { return }
            machine.sent(count)
        }
    }

    private mutating func receive() {
        withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 16) { buffer in
            let now = SystemClock.monotonic()
            var effects: [LineSession.Effect] = []
            repeat {
                switch link.receive(into: buffer) {
                case .wouldBlock: break
                case .moved(let count):
                    session.heard(at: now)
                    for event in machine.receive(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])) {
                        session.handle(event, at: now, into: &effects)
                    }
                case .closed:
                    for event in machine.endOfStream() { session.handle(event, at: now, into: &effects) }
                }
            } while link.mayHaveMore
            carryOut(effects)
        }
    }

    private mutating func readInput() {
        // Little at a time, so that what one read holds never is far over the limit of requests in flight.
        withUnsafeTemporaryAllocation(byteCount: 4_096, alignment: 16) { buffer in
            let now = SystemClock.monotonic()
            var effects: [LineSession.Effect] = []
            let count = read(options.input, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { return }
            for line in splitter.feed(buffer[..<max(count, 0)]) { session.handle(line, at: now, into: &effects) }
            if count <= 0 {
                if let line = splitter.finish() { session.handle(line, at: now, into: &effects) }
                session.endOfInput(at: now, into: &effects)
            }
            carryOut(effects)
        }
    }

    private mutating func interrupt() {
        var byte: UInt8 = 0
        _ = read(options.interruptions, &byte, 1)
        var effects: [LineSession.Effect] = []
        session.interrupt(at: SystemClock.monotonic(), into: &effects)
        carryOut(effects)
    }

    private mutating func carryOut(_ effects: [LineSession.Effect]) {
        // One write for all lines: a page of history is one piece.
        var lines = ""
        for effect in effects where exitStatus == nil {
            switch effect {
            case .send(let command): machine.send(command)
            case .ping: machine.ping()
            case .print(let line): lines += line + "\n"
            case .complain(let text):
                show(&lines)
                let redErrors = !options.isPlain && isatty(options.errors) == 1
                Self.write(LineFormat.error(text, hasColours: redErrors) + "\n", to: options.errors)
            case .close: machine.close()
            case .exit(let status):
                show(&lines)
                // The answer to a close frame, if the socket takes it.
                flush()
                link.close()
                exitStatus = status
            }
        }
        show(&lines)
    }

    private mutating func show(_ lines: inout String) {
        if !lines.isEmpty, !Self.write(lines, to: options.output) { exitStatus = exitStatus ?? 1 }
        lines = ""
    }

    /// Writes all of it; false where nobody reads any more.
    @discardableResult
    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                bytes = bytes.dropFirst(count)
            } else if errno == EAGAIN {
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&wait, 1, -1)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}

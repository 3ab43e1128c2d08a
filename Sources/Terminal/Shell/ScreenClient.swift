import ConvergeClient
import ConvergeTransport
import Glibc

/// The full-screen chat: the shell around `ChatScreen`, `KeyDecoder` and `DifferenceRenderer`. It reads, writes, waits and
/// asks the clock, and decides nothing.
///
/// One thread waits for the terminal, for signals and for what tasks post. Bounds: the next batch of events is taken from
/// the client only when the one before has been shown to the screen, some hundred at a time between looks at the keyboard;
/// a frame is drawn only when the terminal has taken the one before.
public struct ScreenClient: ~Copyable {
    public struct Options: Sendable {
        public var settings = ChatSettings()
        /// Asked for a token at the beginning, when it has expired, and when a server refuses it.
        public var token: String?

        public init() {}
    }

    /// How many events are handled before the keyboard is looked at again.
    private static let slice = 500

    private var device: TerminalDevice
    private let signals: SignalDescriptor
    private let client: ChatClient
    private let mailbox: Mailbox<ScreenInput>
    private let requests: ScreenRequests
    private var events = ScreenEvents()
    private var screen: ChatScreen
    private var decoder = KeyDecoder()
    private var renderer = DifferenceRenderer()
    private var pacing = Pacing()

    private var inbox: [ScreenInput] = []
    private var inboxPlace = 0
    private var batch: ArraySlice<ClientEvent> = []
    /// Tells the task that takes events that the batch is done with.
    private let taken: AsyncStream<Void>.Continuation
    private var lastKey: UInt64 = 0
    private var changesByItself: Int64 = 0
    private var status: Int32?
    private var complaint: String?

    /// Chats until the person leaves.
    ///
    /// - Returns: the exit status: 0; 1 where it could not begin, or messages that were unsent are lost; 128 and the signal
    ///   after one.
    public static func run(_ options: Options) -> Int32 {
        // Before the client's thread, so that it has them blocked.
        guard let signals = SignalDescriptor([SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP, SIGCONT]) else {
            return fail("the system gives no descriptor for signals")
        }
        signal(SIGPIPE, SIG_IGN)
        let settings = options.settings
        do throws(SystemError) {
            let mailbox = try Mailbox<ScreenInput>()
            let source: TokenSource
            do throws(TokenCommand.Failure) {
                source = try TokenSource(
                    token: options.token, command: settings.tokenCommand.map { TokenCommand(command: $0) }
                ) { mailbox.post(.answer(.failed(room: nil, $0))) }
            } catch {
                return fail(error.message)
            }
            var client = ChatClient.Options()
            client.authorityFile = settings.authorityFile
            client.outboxFile = settings.outboxFile
            client.maxRooms = ChatScreen.roomLimit
            // A person is there, who may get the token mended.
            client.reconnect.unauthorizedBackoff = Backoff(first: .seconds(5), greatest: .seconds(300))
            let chat: ChatClient
            do throws(ChatClientError) {
                chat = try ChatClient(
                    urls: settings.servers, token: { try await source.token() }, options: client)
            } catch {
                return fail(error.message)
            }
            guard let device = TerminalDevice(hasMouse: settings.hasMouse) else {
                return fail("there is no terminal")
            }
            var screenClient = ScreenClient(
                device, signals, chat, mailbox, settings, hasTokenCommand: source.hasCommand)
            return screenClient.loop()
        } catch {
            return fail(error.description)
        }
    }

    private static func fail(_ text: String) -> Int32 {
        let bytes = Array("converge: \(TerminalText.escaped(text))\n".utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
        return 1
    }

    private init(
        _ device: consuming TerminalDevice, _ signals: consuming SignalDescriptor, _ client: ChatClient,
        _ mailbox: Mailbox<ScreenInput>, _ settings: ChatSettings, hasTokenCommand: Bool
    ) {
        let size = device.size
        self.device = device
        self.signals = signals
        self.client = client
        self.mailbox = mailbox
        requests = ScreenRequests(client: client, mailbox: mailbox, settings: settings)
        var look = settings.screen
        look.hasColours = settings.hasColours
        look.keepsUnsent = settings.outboxFile != nil
        look.hasTokenCommand = hasTokenCommand
        // The console of Linux shows what it does not know of OSC 8.
        let terminal = getenv("TERM").map { String(cString: $0) } ?? ""
        if terminal == "linux" { look.hasLinks = false }
        screen = ChatScreen(
            columns: size.columns, rows: size.rows, settings: look, clock: LocalClock { LocalTime.offset(at: $0) })

        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        taken = continuation
        let (eventClient, eventMailbox) = (client, mailbox)
        Task {
            var turns = stream.makeAsyncIterator()
            while let batch = await eventClient.nextEvents() {
                eventMailbox.post(.events(batch))
                _ = await turns.next()
            }
            eventMailbox.post(.over)
        }
        var effects: [ScreenEffect] = []
        for room in settings.rooms.isEmpty ? ["lobby"] : settings.rooms { screen.open(room, into: &effects) }
        if let first = screen.rooms.first { screen.open(first.name, into: &effects) }
        carryOut(effects)
        if settings.outboxFile != nil { tellUnsent() }
    }

    /// What has waited since the program ended last.
    private func tellUnsent() {
        let (client, mailbox) = (client, mailbox)
        Task {
            guard let waiting = try? await client.unsent() else { return }
            for (index, message) in waiting.enumerated() {
                mailbox.post(
                    .answer(.unsent(room: message.room, tag: -index - 1, key: message.key, body: message.body)))
            }
        }
    }

    // MARK: The loop

    private mutating func loop() -> Int32 {
        device.enter()
        pacing.want()
        while status == nil {
            drawIfDue()
            wait()
            let now = SystemClock.monotonic()
            readSignals()
            readKeys(at: now)
            takeEvents()
            tickIfDue()
        }
        device.leave()
        return finish()
    }

    private mutating func wait() {
        var waits = [
            pollfd(fd: device.raw, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals.raw, events: Int16(POLLIN), revents: 0),
            pollfd(fd: mailbox.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        if device.hasUnwritten { waits[0].events |= Int16(POLLOUT) }
        let now = SystemClock.monotonic()
        let wall = Int64(SystemClock.wallMilliseconds())
        var pause: UInt64 = 60_000_000_000
        if let patience = decoder.patience { pause = min(pause, after(lastKey &+ patience, now)) }
        if let due = pacing.due, !device.hasUnwritten { pause = min(pause, after(due, now)) }
        pause = min(pause, UInt64(max(changesByItself - wall, 0)) * 1_000_000)
        if !batch.isEmpty || inboxPlace < inbox.count { pause = 0 }
        let milliseconds = pause == 0 ? 0 : pause / 1_000_000 + 1
        _ = poll(&waits, nfds_t(waits.count), Int32(clamping: milliseconds))
        if waits[0].revents & Int16(POLLOUT) != 0 { device.flush() }
        if waits[0].revents & Int16(POLLHUP | POLLERR) != 0 { status = 128 + SIGHUP }
    }

    private func after(_ moment: UInt64, _ now: UInt64) -> UInt64 { moment > now ? moment - now : 0 }

    private mutating func drawIfDue() {
        guard !device.hasUnwritten, pacing.take(at: SystemClock.monotonic()) else { return }
        let wall = Int64(SystemClock.wallMilliseconds())
        let bytes = renderer.update(to: screen.grid(at: wall))
        if !bytes.isEmpty { device.write(bytes) }
        changesByItself = screen.nextChange(after: wall)
    }

    private mutating func tickIfDue() {
        if Int64(SystemClock.wallMilliseconds()) >= changesByItself { pacing.want() }
    }

    // MARK: Signals

    private mutating func readSignals() {
        while let number = signals.next() {
            switch number {
            case SIGWINCH: resize()
            case SIGTSTP: suspend(wholeGroup: false)
            case SIGCONT: resume()
            default: status = 128 + number
            }
        }
    }

    private mutating func resize() {
        let size = device.size
        screen.resize(columns: size.columns, rows: size.rows)
        renderer.forget()
        pacing.want()
    }

    private mutating func suspend(wholeGroup: Bool) {
        device.leave()
        SignalDescriptor.stop(wholeGroup: wholeGroup)
        resume()
    }

    /// Continued: whoever had the terminal meanwhile may have left it in any state.
    private mutating func resume() {
        device.enter()
        resize()
    }

    // MARK: Keys

    private mutating func readKeys(at now: UInt64) {
        var keys: [Key] = []
        withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 16) { buffer in
            guard let count = device.read(into: buffer) else {
                status = 128 + SIGHUP
                return
            }
            if count > 0 {
                lastKey = now
                decoder.feed(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]), into: &keys)
            } else if let patience = decoder.patience, now >= lastKey &+ patience {
                decoder.timeout(into: &keys)
            }
        }
        guard !keys.isEmpty else { return }
        var effects: [ScreenEffect] = []
        let wall = Int64(SystemClock.wallMilliseconds())
        for key in keys { screen.handle(key, at: wall, into: &effects) }
        carryOut(effects)
        pacing.want()
    }

    // MARK: Events

    private mutating func takeEvents() {
        var effects: [ScreenEffect] = []
        let wall = Int64(SystemClock.wallMilliseconds())
        var rest = Self.slice
        while rest > 0 {
            if let next = batch.popFirst() {
                if let event = events.event(next, at: wall) { screen.handle(event, at: wall, into: &effects) }
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
            case .answer(let event):
                if case .unsent(_, let tag, let key, _) = event { events.sent(key: key, tag: tag) }
                screen.handle(event, at: wall, into: &effects)
            case .over: break
            }
            inboxPlace += 1
            rest -= 1
        }
        guard rest < Self.slice else { return }
        carryOut(effects)
        pacing.want()
    }

    private mutating func carryOut(_ effects: [ScreenEffect]) {
        for effect in effects {
            switch effect {
            case .bell: device.write(TerminalModes.bell)
            case .redraw:
                renderer.forget()
                pacing.want()
            case .suspend: suspend(wholeGroup: true)
            case .quit: status = 0
            default:
                guard let event = requests.perform(effect, events: &events) else { continue }
                var more: [ScreenEffect] = []
                screen.handle(event, at: Int64(SystemClock.wallMilliseconds()), into: &more)
                pacing.want()
            }
        }
    }

    // MARK: The end

    /// Lets the connections close, for a moment, and says what is lost.
    private mutating func finish() -> Int32 {
        let lost = screen.settings.keepsUnsent ? 0 : client.unsentCount
        let closed = OneShot()
        let client = client
        Task {
            await client.close()
            closed.signal()
        }
        closed.wait(milliseconds: 500)
        guard lost > 0 else { return status ?? 0 }
        _ = Self.fail("\(lost) unsent \(lost == 1 ? "message was" : "messages were") lost")
        return status == 0 ? 1 : status ?? 1
    }
}

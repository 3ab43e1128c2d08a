import ConvergeTransport
import ConvergeWire

/// A chat client that never loses its place: it follows rooms on whichever of its servers is there, and shows each message
/// once, in order, or says where something may be missing.
///
/// All its rooms are on one connection, as far as the server's limit of rooms goes; those beyond it are on a further one.
/// With a server of a build that knows only the first generation of the protocol each room has a connection of its own.
/// Nothing else is different then.
///
/// ```swift
/// let client = try ChatClient(urls: [ServerURL("wss://a.example"), ServerURL("wss://b.example")], token: token)
/// let room = try client.join("dev")
/// try room.send("hello")
/// for await event in room.events {
///     if case .message(let line, _) = event { print("\(line.displayName): \(line.body)") }
/// }
/// ```
///
/// One thread of its own does all the work. All of this may be used from any task or thread. Let go of, a client closes.
public final class ChatClient: Sendable {
    public struct Options: Sendable {
        /// How many rooms may be followed at once.
        public var maxRooms = 32
        /// How many messages may wait to be stored, in all rooms.
        public var maxUnsent = 1_000
        /// The longest body in UTF-8 bytes. Servers have limits of their own, which they say when they refuse.
        public var maxBodyBytes = 1 << 20
        /// A file in which unsent messages outlive the program: it is made where there is none, with mode 0600, and belongs
        /// to one client at a time. One user's: what waits in it is sent as whoever the token says. Nil: they wait in memory.
        public var outboxFile: String?
        /// Certificates (PEM) that may vouch for servers of `wss://`, beside the system's.
        public var authorityFile: String?
        /// How many events may wait to be taken before nothing more is read from the servers. One read more may come.
        public var eventBuffer = 10_000
        /// For connecting, and again for the TLS handshake.
        public var connectTimeout: Duration = .seconds(10)
        public var reconnect = ReconnectMachine.Options()
        public var session = RoomSession.Options()
        /// Its `limit` is not used: `maxUnsent` is.
        public var outbox = Outbox.Options()

        public init() {}
    }

    let hub: ClientHub

    /// Makes a client; it connects when a room is joined.
    ///
    /// - Parameters:
    ///   - urls: one or several servers of one cluster, in the order in which they are tried.
    ///   - token: asked for a token when the first room is joined, again when that has expired and when a server says that
    ///     it is unauthorized, by one call at a time. Nil: servers want none. What it throws is not shown to anybody; it is
    ///     asked again after a while.
    public convenience init(
        urls: [ServerURL], token: @escaping @Sendable () async throws -> String?, options: Options = .init()
    ) throws(ChatClientError) {
        try self.init(urls: urls, source: .asked(token), options: options)
    }

    /// Makes a client with one token for good; nil where the servers want none.
    public convenience init(
        urls: [ServerURL], token: String?, options: Options = .init()
    ) throws(ChatClientError) {
        try self.init(urls: urls, source: .fixed(token), options: options)
    }

    private init(urls: [ServerURL], source: TokenSource, options: Options) throws(ChatClientError) {
        guard !urls.isEmpty else { throw .noServers }
        var file: OutboxFile?
        var waiting: [UnsentMessage] = []
        if let path = options.outboxFile {
            do throws(OutboxFile.Failure) {
                let opened = try OutboxFile(path: path)
                waiting = try opened.load()
                file = opened
            } catch {
                throw error.isInUse
                    ? .outboxInUse(file: path) : .outboxUnusable(file: path, reason: error.reason)
            }
        }
        do throws(SystemError) {
            let hub = try ClientHub(options, outboxFile: file)
            hub.unsent.store(waiting.count, ordering: .relaxed)
            let outbox = (file, waiting)
            let thread = try WorkerThread(name: "chat") {
                ChatLoop(hub: hub, urls: urls, token: source, outboxFile: outbox.0, waiting: outbox.1).run()
            }
            thread.detach()
            self.hub = hub
        } catch {
            throw .system(error.description)
        }
    }

    deinit { hub.post(.close(Promise())) }

    /// Follows a room until `leave()`, and returns at once. A room that is followed already is the same one.
    ///
    /// - Parameter room: without blanks around it; at most 64 bytes with most servers.
    public func join(_ room: String) throws(ChatClientError) -> ChatRoom {
        let name = Text(room).trimmed().string
        guard !name.isEmpty, name.utf8.count <= 4_096 else { throw .invalidRoom }
        return ChatRoom(desk: try hub.join(name), client: self)
    }

    /// Everything that happens in all rooms, in order, for one consumer. Where it falls behind by
    /// `Options.eventBuffer` events, nothing more is read from the servers until it has caught up; nothing is lost.
    ///
    /// Take it early: until it is first asked for, it keeps what has happened up to that many events, and no more.
    public var events: EventStream<ClientEvent> {
        hub.events.want()
        return EventStream(hub.events)
    }

    /// The same as `events`, all at once that wait: for whoever draws a screen. Nil when the client is closed, and where
    /// the task is cancelled.
    public func nextEvents() async -> [ClientEvent]? { await hub.events.nextBatch() }

    /// How many events wait to be taken from `events`.
    public var waitingEvents: Int { hub.events.count }

    /// The names of the rooms with somebody in them, by any server that there is a connection to.
    public func rooms() async throws(RequestFailure) -> [String] {
        var names: [String] = []
        var page: String?
        repeat {
            guard case .rooms(let more, let next) = try await hub.ask(.rooms(after: page), room: nil) else {
                throw .refused("another answer")
            }
            names += more
            page = more.isEmpty ? nil : next
        } while page != nil && names.count < Self.listLimit
        return names
    }

    /// How many names of rooms or members are gathered from pages, at most.
    static let listLimit = 1_000_000

    /// How many messages wait to be stored.
    public var unsentCount: Int { hub.unsent.load(ordering: .relaxed) }

    /// The messages that wait to be stored, also those of rooms that are not followed: by room, in order.
    public func unsent() async throws(RequestFailure) -> [UnsentMessage] { try await hub.unsentMessages() }

    /// Leaves all rooms and ends. It waits for nothing that is unsent; what waits in a file waits there for the next
    /// client. The streams of events end when what is in them has been taken.
    public func close() async {
        let promise = Promise<Void, RequestFailure>()
        guard hub.post(.close(promise)) else { return }
        try? await promise.value(orIfCancelled: .cancelled)
    }
}

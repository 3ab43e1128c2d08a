import CLinux
import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeTransport
import ConvergeWire
import Glibc
import Synchronization

/// One Converge node: WebSocket clients on one side, a store on the other.
///
/// ```swift
/// var options = ServerOptions(host: "127.0.0.1", port: 8080, jwtSecret: Secret("…"))
/// let server = try ConvergeServer(store: SQLiteStore(path: "chat.db"), options: options)
/// try server.start()
/// …
/// server.stop()
/// ```
///
/// A server is started once and stopped once. It runs on threads of its own; `start` and `stop` may be called from any.
public final class ConvergeServer: Sendable {
    private let store: any Store
    private let options: ServerOptions
    private let running: Mutex<Running?> = Mutex(nil)
    let log: Logger

    private struct Running: Sendable {
        let port: UInt16
        let peerPort: UInt16?
        let certificate: ServedCertificate?
        let metrics: Metrics
        let loops: [Mailbox<LoopMessage>]
        let ended: Ending
    }

    /// - Parameters:
    ///   - store: where the node keeps what it must not lose. It is opened by `start`, on the node's own threads; while it
    ///     can't be, the node answers and says so, and tries again.
    ///   - options: see `ServerOptions`; without a `jwtSecret` nobody gets in.
    public init(store: any Store, options: ServerOptions) {
        self.store = store
        var options = options
        if options.nodeName.isEmpty { options.nodeName = MachineIdentity.hostName() }
        options.nodeName = ServerOptions.usable(nodeName: options.nodeName)
        if options.loops == 0 { options.loops = Int(clinux_usable_cores()) }
        options.loops = min(max(options.loops, 1), LoopSet.limit)
        self.options = options
        log = Logger(
            level: options.logLevel, node: Text(options.nodeName),
            sink: Self.sink(options))
    }

    private static func sink(_ options: ServerOptions) -> any LogSink {
        if let log = options.log { ClosureSink(body: log) } else { StandardErrorSink(format: options.logFormat) }
    }

    /// How long stopping may take: first for the threads, then for the log. Whoever reads the log may never read on.
    private static let stopLimit = (threads: Duration.milliseconds(8_500), log: Duration.milliseconds(500))

    /// The port the node listens on; nil unless it runs.
    public var port: UInt16? {
        running.withLock { running in running.flatMap { $0.ended.isOver ? nil : $0.port } }
    }

    /// The port on which the node listens for peers; nil unless it runs as one of several.
    public var peerPort: UInt16? {
        running.withLock { running in running.flatMap { $0.ended.isOver ? nil : $0.peerPort } }
    }

    /// Whether the node runs and can store: what `/ready` says.
    public var isReady: Bool { running.withLock { $0?.metrics.isReady ?? false } }

    var hasCertificate: Bool { options.tls != nil }
    /// Nil before the start.
    var metrics: Metrics? { running.withLock { $0?.metrics } }

    /// Listens, starts the node's threads and returns. Clients can connect from then on.
    /// - Throws: `ServerError` where it can't listen, or has been started before.
    public func start() throws(ServerError) {
        let failure = running.withLock { running -> ServerError? in
            guard running == nil else { return .alreadyStarted }
            do throws(ServerError) {
                running = try launch()
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// Reads the files of `ServerOptions.tls` anew: who connects from now on is shown the new certificate. Where they can't
    /// be used the old one stays, and a log line says why. False for that, and where there is no TLS.
    @discardableResult
    public func reloadCertificate() -> Bool {
        guard let running = running.withLock({ $0 }), let certificate = running.certificate else { return false }
        do throws(TLSError) {
            try certificate.reload()
            running.metrics.certificateEnd.set(certificate.end)
            log.write(.info, "certificate reloaded", certificate.fields)
            return true
        } catch {
            log.write(.error, "certificate not reloaded: the old one stays", ("error", "\(error)"))
            return false
        }
    }

    /// Stops accepting, stores what was taken, closes every client as going away (1001), or, in a cluster, so that it
    /// connects to another node (1012), and returns when all that is done, at the latest after 9 seconds. Returns at once where the node does not run.
    public func stop() {
        guard let running = running.withLock({ $0 }) else { return }
        guard running.ended.begin() else {
            running.ended.wait(for: Self.stopLimit.threads)
            return
        }
        log.write(.info, "stopping")
        running.metrics.stopping.set(1)
        for loop in running.loops { loop.post(.stopReading) }
        running.ended.wait(for: Self.stopLimit.threads)
        log.write(.info, "stopped")
        log.close(within: Self.stopLimit.log)
    }

    private func launch() throws(ServerError) -> Running {
        let limit = ProcessFigures.descriptorLimit
        guard limit >= neededDescriptors else {
            throw .tooFewDescriptors(limit: limit, needed: neededDescriptors)
        }
        let certificate: ServedCertificate?
        do throws(TLSError) {
            certificate = try options.tls.map { (files) throws(TLSError) in try ServedCertificate(files) }
        } catch {
            throw .certificate(error)
        }
        let listener: Listener
        do throws(Listener.Failure) {
            listener = try Listener(host: options.host, port: options.port)
        } catch {
            throw .cannotListen(error)
        }
        let gate = try options.cluster.map { (cluster) throws(ServerError) in try PeerGate(cluster) }
        do throws(SystemError) {
            try log.start()
            return try launch(consume listener, gate, certificate)
        } catch {
            log.close(within: Self.stopLimit.log)
            throw .system(error)
        }
    }

    /// What a node has open before its first client comes: about, and rounded up.
    private var neededDescriptors: Int { 32 + 2 * options.loops + (options.cluster == nil ? 0 : 48) }
    /// With fewer a node that is more than a trial will run out of them.
    private static let fewDescriptors = 4_096

    private func launch(
        _ listener: consuming Listener, _ gate: PeerGate?, _ certificate: ServedCertificate?
    ) throws(SystemError) -> Running {
        let core = try Mailbox<CoreEvent>()
        let peers = gate == nil ? nil : PeerDesk(mailbox: try Mailbox(), inflow: PeerInflow())
        var loops: [Mailbox<LoopMessage>] = []
        for _ in 0..<options.loops { loops.append(try Mailbox()) }
        let mailboxes = loops

        let reads = WorkQueue<ReadRequest>(capacity: StorageReaders.backlog)
        let metrics = Metrics(
            depths: QueueDepths(
                core: { core.depth }, loops: { mailboxes.reduce(0) { $0 + $1.depth } },
                readers: { reads.depth }, log: { [log] in log.depth }), logLinesDropped: log.dropped,
            sizes: { [store] in store.sizes() })
        let writer = StorageWriter(store: store, core: core, metrics: metrics)
        let readers = StorageReaders(
            store: store, queue: reads, core: core, loops: mailboxes, metrics: metrics, frameSeed: SecureRandom.word())
        let port = listener.port
        let ended = Ending(threads: options.loops + StorageReaders.threads + 2 + (gate == nil ? 0 : 1))
        let coreThread = CoreThread(
            mailbox: core, options: coreOptions(gate), writer: writer, readers: readers, loops: mailboxes, peers: peers,
            machine: .read(), metrics: metrics, log: log)
        let socket = SharedListener(listener)
        // What each thread that can fail to start has to say: nil where it didn't.
        let starts = WorkQueue<SystemError?>(capacity: options.loops + 2)
        let options = options
        let log = log

        // The order of ending: the loops stop reading, the core stores what it has, the loops close their clients, the core
        // stores the departures, then the store's threads end.
        try WorkerThread(name: "writer") {
            writer.run()
            ended.threadEnded()
        }.detach()
        for index in 0..<StorageReaders.threads {
            try WorkerThread(name: "reader-\(index)") {
                readers.run(thread: index)
                ended.threadEnded()
            }.detach()
        }
        for (index, mailbox) in mailboxes.enumerated() {
            let loopOptions = loopOptions(index, certificate)
            try WorkerThread(name: "loop-\(index)") {
                do throws(SystemError) {
                    let poller = try Poller()
                    try poller.add(mailbox.descriptor, .read, tag: ClientLoop.mailboxTag)
                    // Its connections are nobody else's.
                    if !DescriptorTable.own(
                        keeping: [socket.descriptor, mailbox.descriptor, core.descriptor, poller.raw])
                    {
                        log.debug("a loop shares its descriptors", [("error", "\(SystemError("unshare"))")])
                    }
                    _ = starts.put(nil)
                    var loop = ClientLoop(
                        options: loopOptions, listener: socket.descriptor, mailbox: mailbox, core: core,
                        readers: readers, metrics: metrics, log: log,
                        admission: Self.admission(options, loopOptions.limits), poller: poller)
                    loop.run()
                } catch {
                    core.post(.loopStopped)  // so that stopping does not wait for it
                    _ = starts.put(error)
                }
                ended.threadEnded()
            }.detach()
        }
        if let gate, let peers {
            try launch(gate, peers, core: core, metrics: metrics, starts: starts, ended: ended)
        }
        try WorkerThread(name: "core") {
            do throws(SystemError) {
                try coreThread.run { _ = starts.put(nil) }
            } catch {
                _ = starts.put(error)
            }
            readers.finish()
            writer.finish()
            ended.threadEnded()
        }.detach()
        try waitForThreads(starts, count: options.loops + (gate == nil ? 1 : 2), mailboxes, ended)
        metrics.certificateEnd.set(certificate?.end ?? 0)
        announce(port, certificate)
        return Running(
            port: port, peerPort: gate?.port, certificate: certificate, metrics: metrics, loops: mailboxes, ended: ended
        )
    }

    /// A node that lacks a thread would look as if it ran: it ends instead.
    private func waitForThreads(
        _ starts: WorkQueue<SystemError?>, count: Int, _ loops: [Mailbox<LoopMessage>], _ ended: Ending
    ) throws(SystemError) {
        var failure: SystemError?
        for _ in 0..<count {
            if let outcome = starts.take(), let error = outcome { failure = failure ?? error }
        }
        guard let failure else { return }
        for loop in loops {
            loop.post(.stopReading)
            loop.post(.finish)
        }
        ended.wait(for: .seconds(1))
        throw failure
    }

    /// The threads of the peer links. The resolver's is not waited for: it may be in a name that nobody answers for.
    private func launch(
        _ gate: PeerGate, _ peers: PeerDesk, core: Mailbox<CoreEvent>, metrics: Metrics,
        starts: WorkQueue<SystemError?>, ended: Ending
    ) throws(SystemError) {
        let resolver = AddressResolver(answers: peers.mailbox)
        try WorkerThread(name: "resolver") { resolver.run() }.detach()
        let log = log
        try WorkerThread(name: "peers") {
            do throws(SystemError) {
                var loop = PeerLoop(
                    options: gate.loopOptions, listener: gate.descriptor, mailbox: peers.mailbox, core: core,
                    inflow: peers.inflow, resolver: resolver, counters: metrics.peers, log: log, poller: try Poller())
                try loop.run { _ = starts.put(nil) }
            } catch {
                _ = starts.put(error)
            }
            ended.threadEnded()
        }.detach()
        log.write(
            .info, "listening for peers", ("address", gate.listening), ("advertised", gate.advertised),
            ("encrypted", gate.loopOptions.tls != nil))
    }

    private func announce(_ port: UInt16, _ certificate: ServedCertificate?) {
        log.write(
            .info, "listening", ("host", options.host), ("port", port), ("loops", options.loops),
            ("tls", certificate != nil))
        if let certificate { log.write(.info, "certificate read", certificate.fields) }
        if options.host == "0.0.0.0", let address = NetworkAddress.own() {
            log.write(
                .info, "network access", ("url", "\(certificate == nil ? "http" : "https")://\(address):\(port)"))
        }
        let limit = ProcessFigures.descriptorLimit
        if limit < Self.fewDescriptors {
            log.write(
                .warn, "few descriptors: that is how many clients a loop can have, raise the limit", ("limit", limit))
        }
        if options.jwtSecret == nil { log.write(.warn, "no secret is set: every token is refused") }
    }

    // MARK: Options for the parts

    private func coreOptions(_ gate: PeerGate?) -> CoreOptions {
        var replicator = ReplicatorOptions()
        replicator.lead = max(HybridClock.tolerance, options.acceptAhead.milliseconds)
        let limits = sessionLimits
        let welcome = WelcomeLimits(
            rooms: options.maxSubscriptions, body: limits.body, room: limits.room, document: limits.document)
        return CoreOptions(
            nodeName: Text(options.nodeName), loopCount: options.loops, saveBuffer: options.saveBuffer,
            historyLimit: options.historyLimit, bodyLimit: limits.body, welcome: welcome,
            systemEvents: options.systemEvents, retention: options.retention.milliseconds,
            keyWindow: options.keyWindow.milliseconds, commitPace: options.commitPace.nanoseconds,
            replicator: replicator,
            cluster: gate?.clusterOptions(),
            frameSeed: SecureRandom.word())
    }

    private var sessionLimits: SessionLimits {
        SessionLimits(body: options.maxBodyLength, room: options.maxRoomLength, user: options.maxUserLength)
    }

    private func loopOptions(_ index: Int, _ certificate: ServedCertificate?) -> LoopOptions {
        LoopOptions(
            index: index,
            limits: sessionLimits, webSocket: WebSocketMachine.Limits(maxMessageBytes: options.maxMessageBytes),
            echo: WebSocketMachine.Limits(maxMessageBytes: 16 << 20, maxFragments: 65_536, binaryIsText: false),
            sendFrames: options.sendBuffer, historyLimit: options.historyLimit, coreBacklog: options.saveBuffer * 2,
            stopCode: options.cluster == nil ? .goingAway : .serviceRestart,
            writeWait: options.writeWait.nanoseconds, pongWait: options.pongWait.nanoseconds,
            pingPeriod: options.pingPeriod.nanoseconds, readTimeout: options.readTimeout.nanoseconds,
            writeTimeout: options.writeTimeout.nanoseconds, idleTimeout: options.idleTimeout.nanoseconds,
            frameSeed: SecureRandom.word(), trustedProxies: options.trustedProxies, certificate: certificate)
    }

    private static func admission(_ options: ServerOptions, _ limits: SessionLimits) -> Admission {
        Admission(
            limits: limits, allowedOrigins: options.allowedOrigins, echo: options.echo,
            verifier: TokenVerifier(
                secret: options.jwtSecret, issuer: options.jwtIssuer, audience: options.jwtAudience))
    }
}

/// The listening socket, open as long as a loop needs it.
private final class SharedListener: Sendable {
    private let listener: Listener

    init(_ listener: consuming Listener) { self.listener = listener }

    var descriptor: Int32 { listener.descriptor }
}

/// Why a server did not start.
public enum ServerError: Error, Sendable {
    case cannotListen(Listener.Failure)
    /// Where peers were to be listened for.
    case cannotListenForPeers(Listener.Failure)
    /// Others than this machine could reach the peers' port, and there is no secret that tells who may.
    case secretMissing(host: String)
    /// The cluster's name, or the address that peers are told, is one that peers refuse.
    case peersRefuse(String)
    /// What is the matter with the secret, or with OpenSSL.
    case peerEncryption(String)
    /// The certificate or its key can't be used.
    case certificate(TLSError)
    case system(SystemError)
    /// The process may not open as many files and sockets as the node needs for itself.
    case tooFewDescriptors(limit: Int, needed: Int)
    /// A server is started once; make another one.
    case alreadyStarted

    public var message: String {
        switch self {
        case .cannotListen(let failure): failure.description
        case .cannotListenForPeers(let failure): "peers can't be listened for: \(failure)"
        case .secretMissing(let host):
            "CONVERGE_CLUSTER_SECRET must be set where peers are listened for on \(host), which is not loopback: "
                + "`converge secret` makes one"
        case .peersRefuse(let what): what
        case .peerEncryption(let reason): "links to peers can't be encrypted: \(reason)"
        case .certificate(let error): "no TLS with this certificate and key: \(error)"
        case .system(let error): "the system refuses: \(error)"
        case .tooFewDescriptors(let limit, let needed):
            "the limit of descriptors is \(limit), and the node needs \(needed) for itself and one for each client: "
                + "raise it (ulimit -n 65536)"
        case .alreadyStarted: "the server has been started before"
        }
    }
}

// Several nodes, each a process of its own with its own database and ports, as one cluster.

import ConvergeTransport
import Foundation

struct ClusterOptions {
    var count = 3
    /// Quicker than the defaults, and slow enough for a machine that is busy.
    var probeInterval = "200ms"
    var suspectTimeout = "1500ms"
    /// What peers prove themselves with; empty: they talk in the clear, on loopback only.
    var secret = "a secret that only the nodes under test have and nobody else"
    var environment: [String: String] = [:]
    /// What one node has that the others don't.
    var environmentOfNode: [Int: [String: String]] = [:]
    /// A command that becomes the node's own.
    var wrapperOfNode: [Int: (ClusterNode) -> [String]] = [:]
    /// A network of its own for each node; otherwise all are on 127.0.0.1.
    var network: NetworkNamespaces?
}

/// One node of a cluster through all its lives.
final class ClusterNode {
    let index: Int
    let host: String
    /// For clients. The same in each life, so that clients find it again.
    let port: UInt16
    /// For peers.
    let peerPort: UInt16
    let folder: String
    var environment: [String: String]
    fileprivate(set) var process: NodeProcess?
    fileprivate var earlierLogs: [String] = []
    /// A client in a room where nobody talks, for what is asked of the node from outside.
    fileprivate var asker: ChatSocket?

    var name: String { "n\(index)" }
    var database: String { folder + "/converge.db" }
    var peerAddress: String { "\(host):\(peerPort)" }
    /// What it has said in this life.
    var log: String { process?.output ?? earlierLogs.last ?? "" }
    var wholeLog: String { (earlierLogs + [process?.output ?? ""]).joined() }
    var runs: Bool { process != nil }

    fileprivate init(
        index: Int, host: String, port: UInt16, peerPort: UInt16, folder: String, environment: [String: String]
    ) {
        self.index = index
        self.host = host
        self.port = port
        self.peerPort = peerPort
        self.folder = folder
        self.environment = environment
    }

    func running() throws -> NodeProcess {
        guard let process else { throw TestFailure("\(name) does not run") }
        return process
    }

    func client(_ user: String, room: String = "lobby", joins: Bool = true) throws -> ChatSocket {
        try running().client(user, room: room, joins: joins)
    }

    /// Asks the node from a room where nobody else is.
    func ask(_ json: String, ref: String = "ask") throws -> Frame {
        if let asker, let reply = try? asker.ask(json, ref: ref) { return reply }
        let client = try running().open(token: Tokens.of("asker-\(name)"), room: ClusterProcesses.quietRoom)
        _ = try client.next("welcome")
        asker = client
        return try client.ask(json, ref: ref)
    }

    func users(_ room: String = "lobby") throws -> [String] {
        try ask(#"{"ref":"ask","type":"users","room":"\#(room)"}"#).list("users") ?? []
    }

    func rooms() throws -> [String] {
        (try ask(#"{"ref":"ask","type":"rooms"}"#).list("rooms") ?? []).filter { $0 != ClusterProcesses.quietRoom }
    }

    /// The whole history of a room, oldest first.
    func history(_ room: String = "lobby") throws -> [Shown] {
        var all: [Shown] = []
        var before = ""
        while true {
            let reply = try ask(#"{"ref":"ask","type":"history","room":"\#(room)","limit":10000\#(before)}"#)
            guard let page = reply.frames("history") else { throw TestFailure("no history: \(reply)") }
            guard let first = page.first else { return all }
            all = page.map { Shown($0) } + all
            before = #","before":"\#(first.pos)""#
        }
    }

    /// The names of the nodes that this one has a link to now, by what it has logged.
    func linked() -> Set<String> {
        var names: [Substring: Substring] = [:]
        for line in log.split(separator: "\n") {
            guard let peer = Self.field("peer", line) else { continue }
            if line.contains(" peer linked "), let name = Self.field("name", line) { names[peer] = name }
            if line.contains(" peer link lost ") { names[peer] = nil }
        }
        return Set(names.values.map(String.init))
    }

    /// The replica it writes under, by what it has logged last.
    func replica() -> String? {
        log.split(separator: "\n").last { $0.contains(" store opened ") }
            .flatMap { Self.field("replica", $0) }.map(String.init)
    }

    static func field(_ name: String, _ line: Substring) -> Substring? {
        guard let range = line.range(of: " \(name)=") else { return nil }
        return line[range.upperBound...].prefix { $0 != " " }
    }
}

/// What history shows of an entry: equal on all nodes.
struct Shown: Hashable, CustomStringConvertible {
    let id, pos, type, user, body, node, timestamp: String
    let seq: Int

    init(_ frame: Frame) {
        id = frame.id
        pos = frame.pos
        type = frame.type
        user = frame.user
        body = frame.body
        node = frame["node"] ?? ""
        timestamp = frame["timestamp"] ?? ""
        seq = frame.number("seq") ?? 0
    }

    var description: String { "\(type) \(user) \"\(body)\" \(node)/\(seq) at \(pos) id \(id)" }
}

final class ClusterProcesses {
    static let quietRoom = "where-nobody-talks"

    let options: ClusterOptions
    let nodes: [ClusterNode]
    private let folder: TemporaryFolder

    fileprivate init(_ options: ClusterOptions) throws {
        self.options = options
        folder = try TemporaryFolder()
        var nodes: [ClusterNode] = []
        var ports = FreePorts()
        for index in 0..<options.count {
            let path = folder.path("n\(index)")
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            let host = options.network?.address(of: index) ?? "127.0.0.1"
            nodes.append(
                ClusterNode(
                    index: index, host: host, port: try ports.next(), peerPort: try ports.next(), folder: path,
                    environment: options.environmentOfNode[index] ?? [:]))
        }
        self.nodes = nodes
    }

    subscript(_ index: Int) -> ClusterNode { nodes[index] }

    var running: [ClusterNode] { nodes.filter(\.runs) }

    // MARK: Lives and deaths

    func startAll() throws {
        for node in nodes { try start(node.index, waits: false) }
        for node in nodes { try node.running().waitUntilReady() }
    }

    /// Starts a node; it listens when this returns.
    /// - Parameter waits: until its store is open, too.
    func start(_ index: Int, waits: Bool = true) throws {
        let node = nodes[index]
        guard node.process == nil else { throw TestFailure("\(node.name) runs") }
        var environment = [
            "CONVERGE_ADDR": "\(node.host):\(node.port)", "CONVERGE_GOSSIP_ADDR": node.peerAddress,
            "CONVERGE_PEERS": nodes.map(\.peerAddress).joined(separator: ","), "CONVERGE_NODE_NAME": node.name,
            "CONVERGE_PROBE_INTERVAL": options.probeInterval, "CONVERGE_SUSPECT_TIMEOUT": options.suspectTimeout,
            "CONVERGE_HISTORY_LIMIT": "10000", "CONVERGE_CLUSTER_SECRET": options.secret,
        ]
        environment.merge(options.environment) { $1 }
        environment.merge(node.environment) { $1 }
        environment = environment.filter { !$0.value.isEmpty }
        // The kernel ends it with the thread that has started it, whatever ends that: a test runs on one thread.
        var wrapper = ["setpriv", "--pdeathsig", "KILL"]
        if let own = options.wrapperOfNode[index] { wrapper = own(node) + wrapper }
        if let network = options.network { wrapper = network.command(of: index) + wrapper }
        let process = try NodeProcess.serve(
            database: node.database, environment: environment, host: node.host, wrapper: wrapper, waits: false)
        node.process = process
        if waits { try process.waitUntilReady() }
    }

    /// Ends a node at once, as a crash does.
    func kill(_ index: Int) throws {
        let process = try nodes[index].running()
        process.kill(SIGKILL)
        _ = try process.waitForExit()
        bury(nodes[index])
    }

    /// Tells a node to stop, and waits for its end. Clients of it may be read meanwhile by `body`.
    @discardableResult
    func stop(_ index: Int, _ body: () throws -> Void = {}) throws -> Int32 {
        let process = try nodes[index].running()
        nodes[index].asker?.socket.close()
        process.kill(SIGTERM)
        try body()
        let status = try process.waitForExit()
        bury(nodes[index])
        return status
    }

    private func bury(_ node: ClusterNode) {
        node.earlierLogs.append(node.log)
        node.process = nil
        node.asker = nil
    }

    func pause(_ index: Int) throws { try nodes[index].running().kill(SIGSTOP) }
    func resume(_ index: Int) throws { try nodes[index].running().kill(SIGCONT) }

    /// Takes a node's disk away.
    func empty(_ index: Int) throws {
        let files = FileManager.default
        for name in try files.contentsOfDirectory(atPath: nodes[index].folder) {
            try files.removeItem(atPath: nodes[index].folder + "/" + name)
        }
    }

    // MARK: Waiting

    func wait(
        _ what: String, for limit: Duration = .seconds(30), until holds: () throws -> Bool,
        otherwise: () -> String = { "" }
    ) throws {
        let deadline = Deadline(in: limit)
        while try !holds() {
            if deadline.hasPassed { throw TestFailure("not in time (\(limit)): \(what)\n\(otherwise())") }
            usleep(10_000)
        }
    }

    /// Until all that run have links to each other.
    func waitUntilWhole() throws {
        let names = Set(running.map(\.name))
        try wait("links between all") {
            running.allSatisfy { names.subtracting([$0.name]).isSubset(of: $0.linked()) }
        } otherwise: {
            running.map { "\($0.name) has \($0.linked().sorted())" }.joined(separator: "\n")
        }
    }

    /// Until all that run show the same history of a room, with these messages at least; gives it.
    @discardableResult
    func waitForEqualHistory(
        _ room: String = "lobby", messages: Int = 0, for limit: Duration = .seconds(30)
    ) throws -> [Shown] {
        var seen: [(name: String, shown: [Shown])] = []
        try wait("equal histories of \(room) with \(messages) messages", for: limit) {
            seen = try running.map { ($0.name, try $0.history(room)) }
            return seen.allSatisfy { $0.shown == seen[0].shown }
                && seen[0].shown.count { $0.type == "message" } >= messages
        } otherwise: {
            Self.difference(seen)
        }
        let shown = seen[0].shown
        let order = zip(shown, shown.dropFirst()).allSatisfy { $0.pos < $1.pos }
        guard order else { throw TestFailure("the history of \(room) is not in the order of pos") }
        let ids = Set(shown.map(\.id))
        guard ids.count == shown.count else { throw TestFailure("the history of \(room) shows an id twice") }
        return shown
    }

    private static func difference(_ seen: [(name: String, shown: [Shown])]) -> String {
        guard let first = seen.first else { return "nobody runs" }
        var lines = seen.map { "\($0.name) has \($0.shown.count)" }
        for other in seen.dropFirst() where other.shown != first.shown {
            let (a, b) = (Set(first.shown), Set(other.shown))
            lines += first.shown.filter { !b.contains($0) }.prefix(5).map { "only \(first.name): \($0)" }
            lines += other.shown.filter { !a.contains($0) }.prefix(5).map { "only \(other.name): \($0)" }
            if a == b { lines.append("\(first.name) and \(other.name) have another order") }
        }
        return lines.joined(separator: "\n")
    }

    /// Until each of those that run lists just these users.
    func waitForUsers(_ users: [String], room: String = "lobby", for limit: Duration = .seconds(30)) throws {
        let wanted = users.sorted()
        var seen: [String] = []
        try wait("the users \(wanted) everywhere", for: limit) {
            seen = try running.map { "\($0.name): \(try $0.users(room))" }
            return try running.allSatisfy { try $0.users(room) == wanted }
        } otherwise: {
            seen.joined(separator: "\n")
        }
    }

    // MARK: The end

    /// The last lines of each node's log, for a failure.
    var logs: String {
        nodes.map { node in
            let lines = node.wholeLog.split(separator: "\n")
            return "--- \(node.name), the last of \(lines.count) lines:\n" + lines.suffix(60).joined(separator: "\n")
        }.joined(separator: "\n")
    }

    fileprivate func end() {
        for node in running {
            node.process?.kill(SIGKILL)
            _ = try? node.process?.waitForExit()
        }
    }
}

/// Runs a cluster for the time of `body`; what it fails with carries the nodes' logs.
/// - Parameter starts: whether the nodes are started, and have links to each other, before `body`.
func withCluster<R>(
    _ options: ClusterOptions = ClusterOptions(), starts: Bool = true, _ body: (ClusterProcesses) throws -> R
) throws -> R {
    let cluster = try ClusterProcesses(options)
    defer { cluster.end() }
    do {
        if starts {
            try cluster.startAll()
            try cluster.waitUntilWhole()
        }
        return try body(cluster)
    } catch {
        throw TestFailure("\(error)\n\(cluster.logs)")
    }
}

/// Ports that nothing listens on, below those that the system gives to connections by itself.
struct FreePorts {
    private var given: Set<UInt16> = []

    mutating func next() throws -> UInt16 {
        for _ in 0..<200 {
            let port = UInt16.random(in: 10_000..<20_000)
            guard !given.contains(port), Self.isFree(port) else { continue }
            given.insert(port)
            return port
        }
        throw TestFailure("no free port was found")
    }

    private static func isFree(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return code == 0
    }
}

/// One line of what a test has seen, whether it fails or not.
func saw(_ words: String) { print("cluster: \(words)") }

/// How long something took, for such a line.
struct Stopwatch {
    private let began = SystemClock.monotonic()
    var seconds: Double { Double(SystemClock.monotonic() - began) / 1e9 }
    var text: String { String(format: "%.2f s", seconds) }
}

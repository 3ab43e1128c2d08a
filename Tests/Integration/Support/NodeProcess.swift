// The built command as a process of its own, on a free port, ended by its pid.

import ConvergeTransport
import Foundation

final class NodeProcess {
    let pid: pid_t
    private(set) var port: UInt16 = 0
    /// Where its clients find it.
    let host: String
    private let errors: Int32
    private var log: [UInt8] = []
    private var status: Int32?

    /// The command stands beside the tests' own program.
    static var command: String {
        let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: program).deletingLastPathComponent().appendingPathComponent("converge").path
    }

    /// Starts `converge` with these words.
    /// - Parameters:
    ///   - openFiles: the most descriptors that it may have.
    ///   - wrapper: a command, found on the PATH, that becomes the one that is named behind it.
    ///   - standardOutput: where its results go, instead of to what `output` has.
    ///   - standardError: where it complains and logs to, instead of what `output` has.
    init(
        _ words: [String], environment: [String: String] = [:], openFiles: Int? = nil, host: String = "127.0.0.1",
        wrapper: [String] = [], standardOutput: Int32? = nil, standardError: Int32? = nil
    ) throws {
        self.host = host
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw TestFailure("pipe: errno \(errno)") }
        errors = ends[0]
        defer { Glibc.close(ends[1]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, standardOutput ?? ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, standardError ?? ends[1], 2)
        // Whoever runs the tests may ignore signals, as nohup does, or block them: the node would, too.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE] { sigaddset(&defaults, signal) }
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        var arguments = wrapper + [Self.command] + words
        if let openFiles {
            arguments = ["/bin/sh", "-c", "ulimit -n \(openFiles); exec \"$0\" \"$@\""] + arguments
        }
        let variables =
            environment.map { "\($0.key)=\($0.value)" } + ["PATH=/usr/bin:/bin", "SWIFT_BACKTRACE=enable=no"]
        var argv = arguments.map { strdup($0) } + [nil]
        var envp = variables.map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        var pid = pid_t()
        let code = posix_spawnp(&pid, arguments[0], &actions, &attributes, &argv, &envp)
        guard code == 0 else { throw TestFailure("\(arguments[0]): \(String(cString: strerror(code)))") }
        self.pid = pid
    }

    deinit {
        if status == nil {
            kill(SIGKILL)
            _ = try? waitForExit()
        }
        Glibc.close(errors)
    }

    /// A node that serves this database, once it can store; or once it listens, where that is not waited for.
    static func serve(
        database: String, environment: [String: String] = [:], openFiles: Int? = nil, host: String = "127.0.0.1",
        wrapper: [String] = [], waits: Bool = true
    ) throws -> NodeProcess {
        var settings = [
            "CONVERGE_ADDR": "\(host):0", "CONVERGE_DB_PATH": database, "CONVERGE_JWT_SECRET": Tokens.secret,
            "CONVERGE_LOOPS": "2",
        ]
        settings.merge(environment) { $1 }
        let node = try NodeProcess(
            ["serve"], environment: settings, openFiles: openFiles, host: host, wrapper: wrapper)
        let line = try node.waitForLine(containing: " port=")
        guard let port = line.firstMatch(of: /port=(\d+)/).flatMap({ UInt16($0.1) }) else {
            throw TestFailure("no port in: \(line)")
        }
        node.serves(at: port)
        if waits { try node.waitUntilReady() }
        return node
    }

    /// The port that its log told.
    func serves(at port: UInt16) { self.port = port }

    // MARK: Its output

    /// All that it has said so far.
    var output: String {
        drain()
        return String(decoding: log, as: UTF8.self)
    }

    func waitForLine(containing words: String) throws -> String {
        let deadline = Deadline()
        while true {
            if let line = output.split(separator: "\n").first(where: { $0.contains(words) }) { return String(line) }
            var entry = pollfd(fd: errors, events: Int16(POLLIN), revents: 0)
            let ready = poll(&entry, 1, deadline.milliseconds)
            if ready > 0, entry.revents & Int16(POLLIN) == 0 { throw TestFailure("it ended, having said: \(output)") }
            if ready <= 0, deadline.hasPassed { throw TestFailure("\"\(words)\" was not said, but: \(output)") }
        }
    }

    private func drain() {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = read(errors, &buffer, buffer.count)
            if count <= 0 { return }
            log += buffer[..<count]
        }
    }

    // MARK: Its end

    func kill(_ signal: Int32) { if status == nil { _ = Glibc.kill(pid, signal) } }

    /// The exit status; minus the signal where one has ended it.
    func waitForExit(by deadline: Deadline = Deadline()) throws -> Int32 {
        while status == nil {
            drain()  // so that a full pipe never holds it up
            var raw: Int32 = 0
            if waitpid(pid, &raw, WNOHANG) == pid {
                status = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : -(raw & 0x7F)
            } else if deadline.hasPassed {
                throw TestFailure("process \(pid) runs on, having said: \(output)")
            } else {
                usleep(2_000)
            }
        }
        return status ?? -1
    }

    /// Its resident memory, in bytes.
    func residentBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)
        return (Int(text.split(separator: " ")[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    // MARK: Its clients

    func open(token: String, room: String = "lobby", receiveBuffer: Int32? = nil) throws -> ChatSocket {
        try ChatSocket(
            host: host, port: port, target: "/ws?room=\(room.percentEncoded)&token=\(token)",
            receiveBuffer: receiveBuffer)
    }

    func client(_ user: String, room: String = "lobby", joins: Bool = true) throws -> ChatSocket {
        let client = try open(token: Tokens.of(user), room: room)
        _ = try client.next("welcome")
        if joins { _ = try client.next("system") { $0.user == user && $0.body.hasSuffix(" joined") } }
        return client
    }

    func waitUntilReady() throws {
        let deadline = Deadline()
        while try HTTPReply.get("/ready", host: host, port: port).status != 200 {
            if deadline.hasPassed { throw TestFailure("never ready: \(output)") }
            usleep(2_000)
        }
    }

    /// The whole history of a room, page by page, oldest first.
    static func history(_ room: String, by client: ChatSocket) throws -> [Frame] {
        var all: [Frame] = []
        var before = ""
        while true {
            let reply = try client.ask(
                #"{"type":"history","room":"\#(room)","limit":200,"ref":"page"\#(before)}"#, ref: "page")
            guard let page = reply.frames("history") else { throw TestFailure("no history: \(reply)") }
            guard let first = page.first else { return all }
            all = page + all
            before = #","before":"\#(first.pos)""#
        }
    }
}

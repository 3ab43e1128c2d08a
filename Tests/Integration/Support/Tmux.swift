// A terminal that a test can type at and look at: tmux, with a server and a socket of its own.

import ConvergeTransport
import Foundation

final class Tmux {
    /// Whether the machine has it: Debian's package `tmux`.
    static let isThere = program != nil
    private static let program = ["/usr/bin/tmux", "/usr/local/bin/tmux", "/bin/tmux"].first {
        (path: String) in access(path, X_OK) == 0
    }

    private let socket: String
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        socket = folder.path("tmux")
    }

    deinit { _ = try? run("kill-server") }

    /// Runs a tmux command and gives what it prints.
    @discardableResult
    func run(_ words: String...) throws -> String { try run(words) }

    /// Not by Foundation's `Process`, which waits for everybody who has inherited a descriptor of its own: the first command
    /// leaves a server behind.
    private func run(_ words: [String]) throws -> String {
        let file = folder.path("said-\(UInt32.random(in: 0...UInt32.max))")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, file, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // The threads of tests have signals blocked; a server that had, too, would not hear that its panes end.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let program = Self.program ?? "/usr/bin/tmux"
        let arguments = [program, "-u", "-S", socket, "-f", "/dev/null"] + words
        // The panes' environment comes from here, too: nothing of the test's.
        let variables = ["LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin", "TERM=xterm-256color", "HOME=/"]
        var argv = arguments.map { (word: String) in strdup(word) } + [nil]
        var envp = variables.map { (word: String) in strdup(word) } + [nil]
        defer { for text in argv + envp { free(text) } }
        var pid = pid_t()
        let code = posix_spawn(&pid, program, &actions, &attributes, &argv, &envp)
        guard code == 0 else { throw TestFailure("\(program): \(String(cString: strerror(code)))") }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        try? FileManager.default.removeItem(atPath: file)
        guard status == 0 else { throw TestFailure("tmux \(words): \(text)") }
        return text
    }

    /// A window of its own with a shell in it.
    func pane(columns: Int = 80, rows: Int = 24, environment: [String: String] = [:]) throws -> Pane {
        let name = "p\(UInt32.random(in: 0...UInt32.max))"
        var words = ["new-session", "-d", "-s", name, "-x", "\(columns)", "-y", "\(rows)"]
        for (key, value) in environment.sorted(by: { $0.key < $1.key }) { words += ["-e", "\(key)=\(value)"] }
        words += ["env", "PS1=$ ", "LC_ALL=C.UTF-8", "sh"]
        _ = try run(words)
        try run("set", "-g", "status", "off")
        try run("resize-window", "-t", name, "-x", "\(columns)", "-y", "\(rows)")
        return Pane(tmux: self, name: name)
    }

    struct Pane {
        let tmux: Tmux
        let name: String

        func type(_ text: String) throws { try tmux.run("send-keys", "-t", name, "-l", text) }
        func press(_ key: String) throws { try tmux.run("send-keys", "-t", name, key) }
        func enter(_ text: String) throws {
            try type(text)
            try press("Enter")
        }

        func resize(columns: Int, rows: Int) throws {
            try tmux.run("resize-window", "-t", name, "-x", "\(columns)", "-y", "\(rows)")
        }

        var lines: [String] {
            get throws {
                try tmux.run("capture-pane", "-p", "-t", name).split(separator: "\n", omittingEmptySubsequences: false)
                    .map(String.init)
            }
        }

        /// A format of tmux, such as `#{cursor_x}`.
        func value(_ format: String) throws -> String {
            try tmux.run("display-message", "-p", "-t", name, format).trimmingCharacters(in: .newlines)
        }

        /// Waits until the screen shows what is wanted.
        @discardableResult
        func wait(_ what: String, for limit: Duration = .seconds(20), until holds: ([String]) -> Bool) throws
            -> [String]
        {
            let deadline = Deadline(in: limit)
            while true {
                let shown = try lines
                if holds(shown) { return shown }
                guard !deadline.hasPassed else {
                    throw TestFailure("not in time: \(what)\n\(shown.joined(separator: "\n"))")
                }
                usleep(30_000)
            }
        }

        func wait(for words: String) throws { try wait("\"\(words)\"") { $0.contains { $0.contains(words) } } }

        /// The pid of what runs in the pane in front of its shell; nil where nothing does.
        func child() throws -> pid_t? {
            guard let shell = pid_t(try value("#{pane_pid}")) else { return nil }
            let text = (try? String(contentsOfFile: "/proc/\(shell)/task/\(shell)/children", encoding: .utf8)) ?? ""
            return text.split(separator: " ").first.flatMap { pid_t($0) }
        }
    }
}

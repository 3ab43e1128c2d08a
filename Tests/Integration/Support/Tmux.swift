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

    private func run(_ words: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.program ?? "/usr/bin/tmux")
        process.arguments = ["-u", "-S", socket, "-f", "/dev/null"] + words
        // The pane's own environment comes from here, too: nothing of the test's.
        process.environment = ["LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "TERM": "xterm-256color", "HOME": "/"]
        // A file, since the server that a first command starts keeps what it inherits.
        let file = folder.path("said-\(UInt32.random(in: 0...UInt32.max))")
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        process.standardOutput = FileHandle(forWritingAtPath: file)
        process.standardError = process.standardOutput
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        try? FileManager.default.removeItem(atPath: file)
        guard process.terminationStatus == 0 else { throw TestFailure("tmux \(words): \(text)") }
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

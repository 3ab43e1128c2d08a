import ConvergeTransport
import Glibc

/// A command whose output is the token, such as a password store's: run by `/bin/sh -c`, again when the token has expired.
///
/// Bounds: 16 KiB of output, `limit` of time; then it is ended. The first line that is not empty counts.
struct TokenCommand: Hashable, Sendable {
    enum Failure: Error, Hashable, Sendable {
        case cannotRun(String)
        case ended(Int32, String)
        case tookTooLong
        case saidNothing

        var message: String {
            switch self {
            case .cannotRun(let reason): "the token command can't be run: \(reason)"
            case .ended(let status, let complaint):
                "the token command ended with \(status)\(complaint.isEmpty ? "" : ": \(complaint)")"
            case .tookTooLong: "the token command took more than \(Self.limitWords)"
            case .saidNothing: "the token command printed nothing"
            }
        }

        private static let limitWords = "60 s"
    }

    static let limit = Duration.seconds(60)
    private static let outputLimit = 16 << 10

    let command: String

    /// Runs it and waits.
    /// - Parameter isInteractive: it may ask its questions on the terminal; otherwise it has no input, and what it
    ///   complains about is told in the failure.
    func run(isInteractive: Bool) throws(Failure) -> String {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .cannotRun(String(cString: strerror(errno))) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        if !isInteractive {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
            posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

        var child = pid_t()
        let words = ["/bin/sh", "-c", command].map { (word: String) in strdup(word) }
        defer { for word in words { free(word) } }
        let code = posix_spawn(&child, "/bin/sh", &actions, &attributes, words + [nil], environ)
        close(ends[1])
        guard code == 0 else { throw .cannotRun(String(cString: strerror(code))) }

        let output = Self.read(ends[0], until: SystemClock.monotonic() + Self.limit.nanoseconds)
        if output == nil { kill(child, SIGKILL) }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        guard let output else { throw .tookTooLong }
        let lines = String(decoding: output, as: UTF8.self).split(whereSeparator: \.isNewline)
            .map { $0.drop(while: \.isWhitespace) }.filter { !$0.isEmpty }
        let exit = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        guard exit == 0 else { throw .ended(exit, isInteractive ? "" : lines.last.map(String.init) ?? "") }
        guard let first = lines.first else { throw .saidNothing }
        return String(first.prefix { !$0.isWhitespace })
    }

    /// Nil when the time is over first.
    private static func read(_ descriptor: Int32, until deadline: UInt64) -> [UInt8]? {
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let now = SystemClock.monotonic()
            guard now < deadline else { return nil }
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&wait, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1)) > 0 else { continue }
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count > 0 {
                if output.count < outputLimit { output += buffer[..<count] }
            } else if count == 0 || errno != EINTR {
                return output
            }
        }
    }
}

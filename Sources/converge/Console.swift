import ConvergeTerminal
import Glibc

/// What the command says: results on standard output, complaints on standard error.
///
/// No result is lost in silence: where standard output can't be written, to the last byte, the command has not worked.
enum Console {
    /// What the system said when standard output could not be written.
    private static nonisolated(unsafe) var outputError: Int32?  // results are said by the main thread alone
    private static nonisolated(unsafe) var hasSaid = false  // the same

    /// Whether there is any use in saying more.
    static var isHeard: Bool { outputError == nil }

    static func say(_ text: String) {
        hasSaid = true
        if outputError == nil { outputError = write(text, to: 1) }
    }

    static func complain(_ text: String) { _ = write(text, to: 2) }

    /// The exit status, now that all is said: `status`, unless something of it could not be written. A reader that has
    /// gone (`| head`) is told nothing; the status is then what a shell makes of SIGPIPE, by which it ends mostly.
    static func end(with status: Int32) -> Int32 {
        // A file system may say only now that there was no room.
        if hasSaid, outputError == nil, close(1) != 0 { outputError = errno }
        guard let outputError else { return status }
        guard outputError != EPIPE else { return 128 + SIGPIPE }
        complain("converge: standard output can't be written: \(String(cString: strerror(outputError)))\n")
        return status == 0 ? 1 : status
    }

    /// Complains in one line and gives the exit status for "it didn't work".
    static func failed(_ text: String) -> Int32 {
        complain("converge: \(text)\n")
        return 1
    }

    /// Complains in one line and gives the exit status for "not asked for rightly".
    static func misused(_ text: String) -> Int32 {
        complain("converge: \(text)\n")
        return 2
    }

    static func escaped(_ text: String) -> String { TerminalText.escaped(text) }

    /// The system's error where not all of it could be written.
    private static func write(_ text: String, to descriptor: Int32) -> Int32? {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                bytes = bytes.dropFirst(count)
            } else if errno == EAGAIN {
                // Somebody who has the same terminal or pipe open has made it non-blocking.
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&entry, 1, -1)
            } else if errno != EINTR {
                return errno
            }
        }
        return nil
    }

    /// The process's environment. Of a variable that stands there twice the first counts, as for getenv.
    static var environment: [String: String] {
        var variables: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            next += 1
            let text = String(cString: entry)
            guard let equals = text.firstIndex(of: "=") else { continue }
            let name = String(text[..<equals])
            if variables[name] == nil { variables[name] = String(text[text.index(after: equals)...]) }
        }
        return variables
    }
}

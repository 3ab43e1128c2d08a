import CLinux
import Glibc

/// The terminal itself: its modes, its size, bytes in and out.
///
/// Invariant: after `leave`, and after a crash from `enter` on, the terminal is as it was: its modes, its screen, its
/// cursor. It is opened anew, so that its descriptor alone is non-blocking and not those of whoever started the program.
struct TerminalDevice: ~Copyable {
    private let descriptor: Int32
    private let before: termios
    private let hasMouse: Bool
    private(set) var isEntered = false
    private var unwritten: [UInt8] = []
    private var written = 0

    /// - Returns: nil where the process has no terminal.
    init?(hasMouse: Bool) {
        let opened = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
        guard opened >= 0 else { return nil }
        var modes = termios()
        guard tcgetattr(opened, &modes) == 0 else {
            close(opened)
            return nil
        }
        descriptor = opened
        before = modes
        self.hasMouse = hasMouse
    }

    deinit { close(descriptor) }

    var raw: Int32 { descriptor }
    var hasUnwritten: Bool { written < unwritten.count }

    /// Columns and rows; 80×24 where the terminal doesn't say.
    var size: (columns: Int, rows: Int) {
        var columns: Int32 = 0
        var rows: Int32 = 0
        guard clinux_window_size(descriptor, &columns, &rows) == 0, columns > 0, rows > 0 else { return (80, 24) }
        return (Int(columns), Int(rows))
    }

    /// Takes the whole screen and every key.
    mutating func enter() {
        let restore = Array(TerminalModes.leave.utf8)
        withUnsafePointer(to: before) { modes in
            _ = clinux_guard_terminal(descriptor, modes, restore, restore.count)
        }
        var raw = before
        cfmakeraw(&raw)
        // Output goes as it is, too: the renderer sets every position itself.
        tcsetattr(descriptor, TCSANOW, &raw)
        isEntered = true
        unwritten.removeAll()
        written = 0
        write(TerminalModes.enter(hasMouse: hasMouse))
    }

    /// Gives the terminal back; waits a second at most for it to take what is to be written.
    mutating func leave() {
        guard isEntered else { return }
        isEntered = false
        // What is half written may end in the middle of a sequence; `leave` begins with the end of any.
        if written > 0 { write(TerminalModes.leave) } else { unwritten = Array(TerminalModes.leave.utf8) }
        var tries = 100
        while hasUnwritten, tries > 0 {
            flush()
            guard hasUnwritten else { break }
            var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&wait, 1, 10)
            tries -= 1
        }
        // At once: a terminal that takes nothing more must not hold up the end.
        var modes = before
        tcsetattr(descriptor, TCSANOW, &modes)
        clinux_unguard_terminal()
    }

    /// Queues text, and writes what the terminal takes.
    mutating func write(_ text: String) {
        if written == unwritten.count {
            unwritten.removeAll(keepingCapacity: true)
            written = 0
        }
        unwritten += Array(text.utf8)
        flush()
    }

    mutating func flush() {
        while hasUnwritten {
            let count = unwritten.withUnsafeBytes { bytes in
                Glibc.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
            }
            if count > 0 {
                written += count
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return
            }
        }
    }

    /// - Returns: what was typed; nil where the terminal is gone.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        if count > 0 { return count }
        if count < 0, errno == EAGAIN || errno == EINTR { return 0 }
        return nil
    }
}

import ConvergeWire
import Glibc

/// Writes records as lines to a descriptor, which is standard error unless a test says otherwise.
///
/// Lines that fit are written together, up to what a pipe takes as one piece (POSIX's PIPE_BUF), so that they don't mix
/// with those of another process that writes there, too.
struct StandardErrorSink: LogSink {
    let format: LogFormat
    var descriptor: Int32 = 2

    private static let piece = 4_096

    func write(_ records: [LogRecord]) -> Int {
        var lost = 0
        var gathered = ByteBuffer(capacity: Self.piece)
        for record in records {
            var line = ByteBuffer(capacity: 256)
            LogLine.append(record, format, to: &line)
            if gathered.count + line.count > Self.piece {
                lost += put(gathered.bytes)
                gathered.removeAll()
            }
            gathered.append(line.bytes)
        }
        return lost + put(gathered.bytes)
    }

    /// How many lines could not be written to their end.
    private func put(_ bytes: UnsafeRawBufferPointer) -> Int {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            } else if errno == EAGAIN {
                // Somebody who has the same terminal or pipe open has made it non-blocking.
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&entry, 1, -1)
            } else if errno != EINTR {
                return rest.count { $0 == UInt8(ascii: "\n") }
            }
        }
        return 0
    }
}

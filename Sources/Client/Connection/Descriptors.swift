import ConvergeTransport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Waiting for a few descriptors at once, by poll(2): what every system has.
struct Readiness: ~Copyable {
    private var entries: [pollfd] = []

    /// Forgets the descriptors.
    mutating func clear() { entries.removeAll(keepingCapacity: true) }

    /// - Returns: its place, for `isReady`.
    @discardableResult
    mutating func add(_ descriptor: Int32, reads: Bool, writes: Bool) -> Int {
        // One that is waited for in no way would still tell of its end, and be told of it in every turn.
        var entry = pollfd(fd: reads || writes ? descriptor : -1, events: 0, revents: 0)
        if reads { entry.events |= Int16(POLLIN) }
        if writes { entry.events |= Int16(POLLOUT) }
        entries.append(entry)
        return entries.count - 1
    }

    /// - Parameter nanoseconds: `.max` for ever.
    mutating func wait(nanoseconds: UInt64) {
        let whole = nanoseconds / 1_000_000
        let milliseconds = nanoseconds == .max ? -1 : Int32(clamping: nanoseconds == 0 ? 0 : whole + 1)
        let count = poll(&entries, nfds_t(entries.count), milliseconds)
        // An interruption is an empty turn; nothing else can go wrong with descriptors that are open.
        if count < 0 { for at in entries.indices { entries[at].revents = 0 } }
    }

    func isReadable(_ place: Int) -> Bool { entries[place].revents & ~Int16(POLLOUT) != 0 }
    func isWritable(_ place: Int) -> Bool { entries[place].revents & Int16(POLLOUT | POLLERR | POLLHUP) != 0 }
}

/// Wakes a thread that waits: a pipe with a byte in it.
struct WakeUp: ~Copyable, Sendable {
    private let reader: FileDescriptor
    private let writer: FileDescriptor

    init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SystemError("pipe") }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        reader = FileDescriptor(owning: ends[0])
        writer = FileDescriptor(owning: ends[1])
    }

    /// What the sleeper waits for.
    var descriptor: Int32 { reader.raw }

    func ring() {
        var byte: UInt8 = 1
        // A full pipe wakes as well.
        _ = write(writer.raw, &byte, 1)
    }

    func silence() {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            while read(reader.raw, buffer.baseAddress, buffer.count) == buffer.count {}
        }
    }
}

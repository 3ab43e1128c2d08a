import CLinux
import Glibc

/// Waits for many descriptors at once: epoll(7), level-triggered.
///
/// Each descriptor is registered with a 64-bit tag of the caller's choice, which comes back with its events.
public struct Poller: ~Copyable {
    private let descriptor: FileDescriptor
    private let ready: UnsafeMutablePointer<epoll_event>
    /// The poller's own descriptor.
    public var raw: Int32 { descriptor.raw }

    /// How many events one wait takes.
    public let capacity: Int

    public struct Interest: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let read = Interest(rawValue: EPOLLIN.rawValue | EPOLLRDHUP.rawValue)
        public static let write = Interest(rawValue: EPOLLOUT.rawValue)
        /// For a listener that several pollers wait for: wakes one of them.
        public static let accept = Interest(rawValue: EPOLLIN.rawValue | EPOLLEXCLUSIVE.rawValue)
    }

    public struct Event {
        public let tag: UInt64
        public let readable: Bool
        public let writable: Bool
        /// The descriptor has failed or both sides are closed.
        public let hangup: Bool
    }

    public init(capacity: Int = 64) throws(SystemError) {
        let raw = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard raw >= 0 else { throw SystemError("epoll_create1") }
        descriptor = FileDescriptor(owning: raw)
        ready = .allocate(capacity: capacity)
        self.capacity = capacity
    }

    deinit { ready.deallocate() }

    public func add(_ fd: Int32, _ interest: Interest, tag: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_ADD, fd, interest, tag)
    }

    public func modify(_ fd: Int32, _ interest: Interest, tag: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_MOD, fd, interest, tag)
    }

    public func remove(_ fd: Int32) throws(SystemError) {
        try control(EPOLL_CTL_DEL, fd, [], 0)
    }

    private func control(_ operation: Int32, _ fd: Int32, _ interest: Interest, _ tag: UInt64) throws(SystemError) {
        var event = epoll_event()
        event.events = interest.rawValue
        event.data.u64 = tag
        guard epoll_ctl(descriptor.raw, operation, fd, &event) == 0 else { throw SystemError("epoll_ctl") }
    }

    /// Waits up to `timeout` milliseconds (-1: for ever) and returns how many events `self[i]` holds.
    public func wait(timeout: Int32) -> Int {
        let count = epoll_wait(descriptor.raw, ready, Int32(capacity), timeout)
        return max(0, Int(count))  // EINTR is an empty turn
    }

    /// The same for up to so many nanoseconds. The kernel adds what it takes for a timer's slack: 50 µs.
    public func wait(nanoseconds: UInt64) -> Int {
        let count = clinux_epoll_wait(
            descriptor.raw, ready, Int32(capacity), Int64(min(nanoseconds, UInt64(Int64.max))))
        return max(0, Int(count))
    }

    public subscript(_ index: Int) -> Event {
        let event = ready[index]
        return Event(
            tag: event.data.u64,
            readable: event.events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0,
            writable: event.events & EPOLLOUT.rawValue != 0,
            hangup: event.events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0)
    }
}

/// Whether there is still somebody at the other end of a connection: asks for signs of life, and says when none come.
///
/// A core; the time is nanoseconds of any monotonic clock. Invariant: as long as it beats, at most `pingEvery` passes
/// between two pings, and a connection that nothing was heard of for `lostAfter` is given up. While nothing is read, silence
/// says nothing.
struct Heartbeat: Sendable {
    enum Beat: Hashable {
        case ping(UInt64)
        /// Nothing was heard for too long.
        case silence
    }

    private let pingEvery: UInt64
    private let lostAfter: UInt64
    private var isBeating = false
    private var heard: UInt64 = 0
    private var nextPing: UInt64 = 0
    private var pings: UInt64 = 0
    /// The number of the last ping and when it was sent; nil once it is answered.
    private var pinged: (number: UInt64, at: UInt64)?

    init(_ options: RoomSession.Options) {
        pingEvery = options.pingEvery.wholeNanoseconds
        lostAfter = options.lostAfter.wholeNanoseconds
    }

    /// When `tick` is to be called; `.max` for never.
    var nextTick: UInt64 { isBeating ? min(nextPing, heard + lostAfter) : .max }

    /// The first ping is due at once.
    mutating func start(at now: UInt64) {
        isBeating = true
        heard = now
        nextPing = now
        pinged = nil
    }

    mutating func stop() { isBeating = false }

    /// Something came, whatever it was.
    mutating func heard(at now: UInt64) { heard = now }

    /// Nothing is read just now.
    mutating func paused(at now: UInt64) {
        heard = now
        pinged = nil
    }

    mutating func tick(at now: UInt64) -> Beat? {
        guard isBeating else { return nil }
        guard now < heard + lostAfter else { return .silence }
        guard now >= nextPing else { return nil }
        pings &+= 1
        pinged = (pings, now)
        nextPing = now + pingEvery
        return .ping(pings)
    }

    /// An answer has come: how long that took, where it is the one to the last ping.
    mutating func pong(_ number: UInt64, at now: UInt64) -> Duration? {
        heard = now
        guard let pinged, pinged.number == number else { return nil }
        self.pinged = nil
        return .nanoseconds(Int64(clamping: now - min(pinged.at, now)))
    }
}

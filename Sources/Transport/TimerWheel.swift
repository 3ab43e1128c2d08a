/// One coarse deadline for each of many small integers (a loop's connections), in constant time each.
///
/// A hashed timing wheel (Varghese, Lauck 1987, scheme 6) of 512 slots; a key is linked into the slot of its deadline. A
/// key is never moved when its deadline moves away: it fires, the caller looks at what it is really waiting for, and
/// schedules it again. So the commonest change, a connection that showed life, costs nothing here.
public struct TimerWheel: ~Copyable {
    private static let slots = 512
    private static let none = UInt32.max

    private let resolution: UInt64
    private var tick: UInt64
    private var heads = [UInt32](repeating: none, count: slots)
    private var next: [UInt32] = []
    private var previous: [UInt32] = []
    private var due: [UInt64] = []  // the tick a key is linked for; 0: not linked
    public private(set) var count = 0

    /// - Parameters: nanoseconds between ticks, and the present time.
    public init(resolution: UInt64 = 50_000_000, now: UInt64) {
        self.resolution = resolution
        tick = now / resolution
    }

    /// Milliseconds until the next tick, for a poller's timeout; nil where nothing is scheduled.
    public func wait(from now: UInt64) -> Int32? {
        guard count > 0 else { return nil }
        let at = (tick + 1) * resolution
        return at <= now ? 0 : Int32((at - now + 999_999) / 1_000_000)
    }

    /// Sets the key's one deadline, replacing what was set. It fires at the first tick at or after `deadline`.
    public mutating func schedule(_ key: UInt32, at deadline: UInt64) {
        cancel(key)
        let index = Int(key)
        if index >= due.count {
            let extra = max(index + 1, due.count * 2) - due.count
            next.append(contentsOf: repeatElement(Self.none, count: extra))
            previous.append(contentsOf: repeatElement(Self.none, count: extra))
            due.append(contentsOf: repeatElement(0, count: extra))
        }
        let at = max(tick + 1, deadline / resolution + (deadline % resolution == 0 ? 0 : 1))
        let slot = Int(at % UInt64(Self.slots))
        due[index] = at
        previous[index] = Self.none
        next[index] = heads[slot]
        if heads[slot] != Self.none { previous[Int(heads[slot])] = key }
        heads[slot] = key
        count += 1
    }

    public mutating func cancel(_ key: UInt32) {
        let index = Int(key)
        guard index < due.count, due[index] != 0 else { return }
        let slot = Int(due[index] % UInt64(Self.slots))
        if previous[index] == Self.none { heads[slot] = next[index] } else { next[Int(previous[index])] = next[index] }
        if next[index] != Self.none { previous[Int(next[index])] = previous[index] }
        due[index] = 0
        count -= 1
    }

    /// Appends the keys whose time has come and forgets their deadlines.
    public mutating func advance(to now: UInt64, into fired: inout [UInt32]) {
        let target = now / resolution
        guard target > tick else { return }
        guard count > 0 else {
            tick = target
            return
        }
        // After a long pause every slot is looked at once, not once a missed tick.
        let steps = min(target - tick, UInt64(Self.slots))
        for step in 1...steps {
            var key = heads[Int((target - steps + step) % UInt64(Self.slots))]
            while key != Self.none {
                let following = next[Int(key)]
                if due[Int(key)] <= target {
                    cancel(key)
                    fired.append(key)
                }
                key = following
            }
        }
        tick = target
    }
}

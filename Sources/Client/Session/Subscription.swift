/// Where a room stands on a connection of the second generation: asked for, subscribed, or to be asked for again.
///
/// A core. Invariants: one question at a time; after a subscription that was refused, or ended before the room had come up
/// to now, there is a wait that grows (`Backoff`), so that a server which takes a room and gives it back at once is not kept
/// busy with it.
struct Subscription: Hashable, Sendable {
    enum Phase: Hashable {
        case none
        /// - Parameter until: how long the answer may take.
        case asked(ref: String, until: UInt64)
        case on
        case waiting(until: UInt64)
    }

    private(set) var phase = Phase.none
    private var failures = 0

    /// When `isDue` or `isOverdue` is to be looked at.
    var nextTick: UInt64 {
        switch phase {
        case .asked(_, let until), .waiting(let until): until
        case .none, .on: .max
        }
    }

    /// The wait is over.
    func isDue(at now: UInt64) -> Bool {
        if case .waiting(let until) = phase { now >= until } else { false }
    }

    /// The answer should have come.
    func isOverdue(at now: UInt64) -> Bool {
        if case .asked(_, let until) = phase { now >= until } else { false }
    }

    func isAnswer(_ ref: String?) -> Bool {
        if case .asked(let asked, _) = phase { ref == asked } else { false }
    }

    /// The server has the room on its list for this session, or will when it reads what it was sent.
    var isAtServer: Bool {
        switch phase {
        case .asked, .on: true
        case .none, .waiting: false
        }
    }

    mutating func asked(_ ref: String, until: UInt64) { phase = .asked(ref: ref, until: until) }

    mutating func began() { phase = .on }

    /// The room is up to now.
    mutating func settled() { failures = 0 }

    /// It was refused, or ended by the server.
    /// - Returns: how long to wait.
    mutating func failed(
        at now: UInt64, _ backoff: Backoff, _ generator: inout SeededGenerator, mayGoOnAtOnce: Bool
    ) -> UInt64 {
        let delay = mayGoOnAtOnce && failures == 0 ? 0 : backoff.delay(after: failures, &generator)
        failures = min(failures + 1, 1_000)
        phase = .waiting(until: now + delay)
        return delay
    }

    /// The connection is gone.
    mutating func connectionLost() {
        phase = .none
        failures = 0
    }
}

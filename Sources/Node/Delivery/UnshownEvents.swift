import ConvergeCRDT

/// System events of a room that were handed out without being shown, since the room had been shown another with the same id:
/// two nodes may both write that a user has left. Where the later to come is the one that history has, a client that was
/// shown neither must get it from the page of a resume, though it was there when the event came.
///
/// The invariant: whatever a loop has been handed of the room and not shown, since its first member came in, is in `events`
/// or covered by `forgotten`.
struct UnshownEvents: Sendable {
    /// The most that are kept.
    static let limit = 64

    struct Event: Sendable {
        var dot: Dot
        /// What the room had been shown in its place; nil where that is not known.
        var twin: Dot?
    }

    /// The oldest first.
    private(set) var events: [Event] = []
    /// Covers all that were too many to be kept.
    private(set) var forgotten = VersionVector()

    /// Those among these entries. O(n) for n entries, and nothing where there are no events.
    func among(_ dots: some Sequence<Dot?>) -> [Dot] {
        if events.isEmpty { return [] }
        return dots.compactMap { dot in dot.flatMap { dot in events.contains { $0.dot == dot } ? dot : nil } }
    }

    /// Without those that a session has been fed from the store.
    func except(_ fed: [Dot]) -> UnshownEvents {
        if fed.isEmpty { return self }
        var rest = self
        rest.events.removeAll { fed.contains($0.dot) }
        return rest
    }

    mutating func note(_ dot: Dot, twin: Dot?) {
        // Of a third the second is the twin, which was not shown either.
        let shown = twin.flatMap { twin in events.last { $0.dot == twin }.map(\.twin) ?? twin }
        if events.count >= Self.limit { forgotten.advance(to: events.removeFirst().dot) }
        events.append(Event(dot: dot, twin: shown))
    }
}

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
        /// The subscriptions that have been fed it, in their present stay.
        var fedTo: [UInt32] = []
    }

    /// The oldest first.
    private(set) var events: [Event] = []
    /// Covers all that were too many to be kept.
    private(set) var forgotten = VersionVector()

    /// Pages have shown a subscription these entries, some of which the room may not have been shown. O(n) for n entries, and
    /// nothing where there are no events.
    mutating func feed(_ dots: some Sequence<Dot?>, to subscription: UInt32) {
        if events.isEmpty { return }
        for case let dot? in dots {
            guard let at = events.firstIndex(where: { $0.dot == dot }), !events[at].fedTo.contains(subscription) else {
                continue
            }
            events[at].fedTo.append(subscription)
        }
    }

    /// The subscription is over; its number may be another's.
    mutating func forget(_ subscription: UInt32) {
        for at in events.indices { events[at].fedTo.removeAll { $0 == subscription } }
    }

    /// Without those that this subscription has been fed.
    func except(fedTo subscription: UInt32) -> UnshownEvents {
        if events.isEmpty { return self }
        var rest = self
        rest.events.removeAll { $0.fedTo.contains(subscription) }
        return rest
    }

    mutating func note(_ dot: Dot, twin: Dot?) {
        // Of a third the second is the twin, which was not shown either.
        let shown = twin.flatMap { twin in events.last { $0.dot == twin }.map(\.twin) ?? twin }
        if events.count >= Self.limit { forgotten.advance(to: events.removeFirst().dot) }
        events.append(Event(dot: dot, twin: shown))
    }
}

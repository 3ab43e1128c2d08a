/// Which of one's own messages have come back through the room: a node acknowledges a message and shows it to the room in
/// any order, and whoever leaves wants to have seen both.
struct Echoes {
    /// How many ids are kept of either kind.
    static let limit = 1_024

    /// Seen before they were acknowledged, and the other way round.
    private var seen: Set<String> = []
    private var awaited: Set<String> = []

    /// Something is stored and has not been seen.
    var areAwaited: Bool { !awaited.isEmpty }

    /// - Parameter mayBeUnstored: whether any message has yet to be acknowledged; if not, this one has been.
    mutating func saw(_ id: String, mayBeUnstored: Bool) {
        guard awaited.remove(id) == nil, mayBeUnstored else { return }
        if seen.count < Self.limit { seen.insert(id) }
    }

    mutating func stored(_ id: String) {
        guard seen.remove(id) == nil else { return }
        if awaited.count < Self.limit { awaited.insert(id) }
    }

    /// All that was sent has been acknowledged.
    mutating func forgetSeen() { seen = [] }
}

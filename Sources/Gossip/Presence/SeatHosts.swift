import ConvergeWire

/// The nodes on which a user has sessions in one room, each once, in no order.
///
/// Nearly always one: it stands in the place itself, and only a second one takes an array.
struct SeatHosts: Sendable {
    struct Host: Sendable {
        /// The owner's slot in the table.
        var owner: UInt32
        /// Where the owner's list has the place.
        var index: UInt32
        var sessions: UInt32
        var displayName: Text
    }

    private var first: Host?
    private var more: [Host] = []

    var isEmpty: Bool { first == nil }
    var count: Int { first == nil ? 0 : 1 + more.count }

    subscript(at index: Int) -> Host { index == 0 ? first! : more[index - 1] }

    subscript(owner: UInt32) -> Host? {
        if let first, first.owner == owner { return first }
        return more.first { $0.owner == owner }
    }

    func contains(where condition: (Host) -> Bool) -> Bool {
        guard let first else { return false }
        return condition(first) || more.contains(where: condition)
    }

    /// There must be no host of that owner yet.
    mutating func add(_ host: Host) {
        if first == nil { first = host } else { more.append(host) }
    }

    mutating func remove(_ owner: UInt32) {
        if first?.owner == owner {
            first = more.popLast()
        } else {
            more.removeAll { $0.owner == owner }
        }
    }

    /// False where the owner is not among the hosts.
    mutating func update(_ owner: UInt32, sessions: UInt32, displayName: Text) -> Bool {
        change(owner) {
            $0.sessions = sessions
            $0.displayName = displayName
        }
    }

    mutating func reindex(_ owner: UInt32, to index: UInt32) { _ = change(owner) { $0.index = index } }

    private mutating func change(_ owner: UInt32, _ body: (inout Host) -> Void) -> Bool {
        if first?.owner == owner {
            body(&first!)
            return true
        }
        guard let at = more.firstIndex(where: { $0.owner == owner }) else { return false }
        body(&more[at])
        return true
    }
}

/// Comings and goings without a message between them: shown one by one while they are few, as one line when many.
///
/// Bounds: the names of at most `kept` of them, whatever comes.
struct PresenceRun: Hashable, Sendable {
    static let kept = 3
    private static let nameLimit = 6

    private(set) var first: [ScreenMessage] = []
    private(set) var joined = 0
    private(set) var left = 0
    private(set) var other = 0
    private(set) var begin: Int64
    private(set) var end: Int64
    private var names: [String] = []

    init(_ event: ScreenMessage, joined: Bool?) {
        begin = event.milliseconds
        end = event.milliseconds
        add(event, joined: joined)
    }

    mutating func add(_ event: ScreenMessage, joined hasJoined: Bool?) {
        if first.count < Self.kept { first.append(event) }
        switch hasJoined {
        case true?: joined += 1
        case false?: left += 1
        case nil: other += 1
        }
        end = max(end, event.milliseconds)
        if !names.contains(event.name), names.count < Self.nameLimit + 1 { names.append(event.name) }
    }

    var count: Int { joined + left + other }
    var isFolded: Bool { count > Self.kept }

    /// `14 joined, 9 left: Ann, Bob, …`.
    var summary: String {
        var parts: [String] = []
        if joined > 0 { parts.append("\(joined) joined") }
        if left > 0 { parts.append("\(left) left") }
        if other > 0 { parts.append("\(other) more") }
        var shown = names.prefix(Self.nameLimit).joined(separator: ", ")
        if names.count > Self.nameLimit { shown += ", …" }
        return "\(parts.joined(separator: ", ")): \(shown)"
    }

    var byteCount: Int { first.reduce(128) { $0 + $1.body.utf8.count + 128 } }
}

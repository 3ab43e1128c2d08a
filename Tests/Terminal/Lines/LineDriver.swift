@testable import ConvergeClient
@testable import ConvergeTerminal

/// A session with what it did, driven by hand.
struct LineDriver {
    static let second: UInt64 = 1_000_000_000
    static let a = try? ServerURL("a:1")
    static let b = try? ServerURL("b:2")

    var session: LineSession
    var effects: [LineSession.Effect] = []
    var now: UInt64 = 0
    private var keys = 0

    init(isInteractive: Bool = false, isJSON: Bool = false, isLive: Bool = true, servers: Int = 2) {
        var format = LineFormat(hasColours: false) { _ in "12:03" }
        format.isJSON = isJSON
        session = LineSession(room: "lobby", servers: servers, format: format, isInteractive: isInteractive, at: 0)
        session.start(into: &effects)
        if isLive {
            connecting(Self.a)
            live(Self.a)
            effects = []
        }
    }

    mutating func type(_ lines: String...) {
        for line in lines { session.handle(.text(line), at: now, into: &effects) }
    }
    mutating func event(_ event: RoomEvent, in room: String = "lobby") {
        session.handle(ClientEvent(room: room, event: event), at: now, into: &effects)
    }
    mutating func connecting(_ url: ServerURL?, in room: String = "lobby") {
        guard let url else { return }
        event(.connection(.connecting(url, attempt: 1)), in: room)
    }
    mutating func live(_ url: ServerURL?, in room: String = "lobby") {
        guard let url else { return }
        event(.connection(.live(url, node: nil, userID: "ana", displayName: "Ana")), in: room)
    }
    mutating func waiting(_ reason: String) { event(.connection(.waiting(.seconds(1), reason: reason))) }
    /// Lost, and back on the other server.
    mutating func moved() {
        waiting("gone")
        connecting(Self.b)
        live(Self.b)
    }
    mutating func stored(_ id: String = "") {
        keys += 1
        event(.sending(key: "k\(keys)", .stored(Receipt(id: id))))
    }
    mutating func own(_ id: String, _ body: String) {
        event(
            .message(
                ChatLine(id: id, room: "lobby", userID: "ana", displayName: "Ana", body: body), isMissed: false))
    }
    mutating func answer(_ answer: LineAnswer) { session.answered(answer, at: now, into: &effects) }
    mutating func endOfInput() { session.endOfInput(at: now, into: &effects) }
    mutating func pass(_ seconds: UInt64) {
        now += seconds * Self.second
        session.tick(at: now, into: &effects)
    }
    mutating func taken() -> [LineSession.Effect] {
        defer { effects = [] }
        return effects
    }
}

extension LineDriver {
    /// What somebody else says.
    static func line(_ id: String, _ body: String, room: String = "lobby") -> ChatLine {
        ChatLine(id: id, room: room, userID: "bob", displayName: "Bob", body: body)
    }
}

import Testing

@testable import ConvergeClient

@Suite("A followed room")
struct FollowedRoomTests {
    @Test("asked to reconnect it makes another connection at once, and what is under way goes on")
    func reconnect() throws {
        let urls = [try ServerURL("a:1"), try ServerURL("b:2")]
        var room = FollowedRoom(room: "lobby", urls: urls, options: .init(), generator: SeededGenerator(seed: 1))
        var outbox = Outbox(options: .init(), generator: SeededGenerator(seed: 2))
        var effects: [FollowedRoom.Effect] = []
        room.start(at: 1, into: &effects)
        room.take(token: 1, at: 1, into: &effects)
        effects = []
        room.reconnect(at: 1, &outbox, into: &effects)
        #expect(effects.isEmpty)

        let isWanted = room.connected(1, at: 2)
        #expect(isWanted)
        room.handle(.opened, of: 1, at: 2, &outbox, into: &effects)
        let welcome = Welcome(room: "lobby", userID: "ann", displayName: "Ann")
        room.handle(.chat(.welcome(welcome)), of: 1, at: 2, &outbox, into: &effects)
        #expect(room.isLive)
        effects = []
        room.reconnect(at: 3, &outbox, into: &effects)
        #expect(!room.isLive && effects.contains(.close) && effects.last == .wantToken(refused: nil))
        room.take(token: 1, at: 3, into: &effects)
        #expect(effects.last == .connect(number: 3, server: 1, cursor: nil))
    }

    @Test("a token that was refused twice is not shown a third time")
    func refusedToken() throws {
        var options = FollowedRoom.Options()
        options.reconnect.unauthorizedBackoff = Backoff(first: .seconds(5), greatest: .seconds(300))
        var room = FollowedRoom(
            room: "lobby", urls: [try ServerURL("a:1")], options: options, generator: SeededGenerator(seed: 1))
        var outbox = Outbox(options: .init(), generator: SeededGenerator(seed: 2))
        var effects: [FollowedRoom.Effect] = []
        func refuse() {
            let isWanted = room.connected(room.number, at: 2)
            #expect(isWanted)
            let end = ConnectionEnd.closed(.policyViolation, reason: "unauthorized", byUs: false)
            room.handle(.ended(end), of: room.number, at: 2, &outbox, into: &effects)
        }
        room.start(at: 1, into: &effects)
        room.take(token: 1, at: 1, into: &effects)
        refuse()
        #expect(effects.last == .wantToken(refused: 1))
        room.take(token: 2, at: 1, into: &effects)
        refuse()
        effects = []
        room.reconnect(at: 3, &outbox, into: &effects)
        #expect(effects == [.wantToken(refused: 2)])
    }
}

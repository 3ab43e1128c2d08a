import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Sessions of the second generation: in many rooms, or in none.
@Suite("NodeCore: subscriptions") struct NodeCoreSubscriptionTests {
    private func subscribe(
        _ node: CoreUnderTest, _ session: SessionID, _ room: Text, cursor: ClientCursor? = nil, member: Bool? = nil
    ) {
        node.send(session, .subscribe(SubscribeCommand(room: room, cursor: cursor, member: member)), ref: "s")
    }

    private func users(_ node: CoreUnderTest, _ asker: SessionID, _ room: Text) -> [String]? {
        node.forgetShown()
        node.send(asker, .users(UsersCommand(room: room)))
        return node.shown(asker).last?.users
    }

    @Test("who comes is in no room, is in those it subscribes to, and reads itself come into each")
    func coming() {
        let node = CoreUnderTest()
        let ann = node.arrive("ann")
        #expect(node.words(ann) == ["welcome "])
        subscribe(node, ann, "dev")
        subscribe(node, ann, "ops")
        node.settle()
        #expect(node.subscriptions.map(\.request.name) == ["dev", "ops"])
        #expect(node.subscriptions.map(\.request.count) == [1, 1])
        #expect(node.shown(ann).map { "\($0.room): \($0.body)" } == ["dev: ann joined", "ops: ann joined"])
        node.leave(ann)
        node.settle()
        #expect(
            node.history("dev") == ["ann joined", "ann left"] && node.history("ops") == ["ann joined", "ann left"])
        #expect(node.violations == [])
    }

    @Test("a message goes to the room that it names, wherever its sender is, and each generation has its frame of it")
    func sending() {
        let node = CoreUnderTest()
        let ann = node.arrive("ann")
        let bob = node.enter("bob", "dev")
        subscribe(node, ann, "ops")
        node.settle()
        node.forgetShown()
        node.say(ann, "hello", ref: "1", room: "dev")
        node.settle()
        #expect(node.words(ann) == ["ack 1"])
        let shown = node.shown(bob)
        #expect(shown.map(\.description) == ["message hello"] && shown.first?.seq != nil)
        #expect(users(node, ann, "dev") == ["bob"])
        subscribe(node, ann, "dev")
        node.settle()
        node.forgetShown()
        node.say(bob, "hi")
        node.settle()
        let compact = node.shown(ann).first
        #expect(compact?.body == "hi" && compact?.seq == nil && compact?.id == "" && compact?.position != nil)
        #expect(node.violations == [])
    }

    @Test("a key makes a message one in the room that the frame names")
    func keys() {
        let node = CoreUnderTest()
        let ann = node.arrive("ann")
        for room in ["dev", "ops", "dev"] as [Text] { node.say(ann, "once", key: "k", ref: room, room: room) }
        node.settle()
        #expect(node.words(ann).filter { $0.hasPrefix("ack") } == ["ack dev", "ack ops", "ack dev duplicate"])
        #expect(node.history("dev") == ["once"] && node.history("ops") == ["once"])
    }

    @Test("who reads without being a member is not seen, comes when it wants to be, and goes when it does not")
    func members() {
        let node = CoreUnderTest()
        let ann = node.arrive("ann")
        let bob = node.arrive("bob")
        subscribe(node, ann, "dev", member: false)
        node.settle()
        #expect(users(node, bob, "dev") == [] && node.history("dev") == [])
        #expect(node.subscriptions.last?.request.count == 0)
        node.say(bob, "hello", room: "dev")
        node.settle()
        #expect(node.words(ann) == ["message hello"])
        subscribe(node, ann, "dev", member: true)
        node.settle()
        #expect(users(node, bob, "dev") == ["ann"])
        // What is not named stays.
        subscribe(node, ann, "dev")
        node.settle()
        #expect(users(node, bob, "dev") == ["ann"])
        subscribe(node, ann, "dev", member: false)
        node.settle()
        #expect(users(node, bob, "dev") == [])
        node.leave(ann)
        node.settle()
        #expect(node.history("dev") == ["hello", "ann joined", "ann left"])
    }

    @Test("who unsubscribes gets what was on its way, is told, and then nothing more of the room")
    func leaving() {
        let node = CoreUnderTest()
        let ann = node.arrive("ann")
        let bob = node.enter("bob", "dev")
        subscribe(node, ann, "dev")
        node.settle()
        node.forgetShown()
        node.say(bob, "before")
        node.send(ann, .unsubscribe(room: "dev"), ref: "u")
        node.say(bob, "after")
        node.settle()
        #expect(node.words(ann) == ["message before", "unsubscribed "])
        #expect(users(node, bob, "dev") == ["bob"])
        node.send(ann, .unsubscribe(room: "dev"), ref: "again")
        #expect(node.words(ann) == ["error You are not subscribed to this room. again"])
    }

    @Test("one room more than it may have is refused, and one that it has already is not")
    func limit() {
        let node = CoreUnderTest()
        let ann = node.arrive("ann")
        let limit = node.core.options.welcome.rooms
        for number in 0..<limit {
            subscribe(node, ann, Text("r\(number)"), member: false)
            node.settle()
        }
        node.forgetShown()
        subscribe(node, ann, "more")
        #expect(node.shown(ann).first?.body == ErrorCode.tooManyRooms.sentence.string)
        subscribe(node, ann, "r0", cursor: .at(VersionVector()))
        #expect(node.subscriptions.last?.request.cursor != nil)
        node.send(ann, .unsubscribe(room: "r5"))
        subscribe(node, ann, "more")
        node.settle()
        #expect(node.subscriptions.last?.request.name == "more")
    }

    @Test("a subscription that its loop has ended is over, unless another has begun")
    func overtaken() {
        let node = CoreUnderTest()
        let ann = node.arrive("ann")
        let bob = node.arrive("bob")
        subscribe(node, ann, "dev")
        node.settle()
        let first = node.subscriptions.last!.request.stay
        subscribe(node, ann, "dev")
        node.turn(.session(ann, .subscriptionEnded(room: "dev", stay: first)))
        node.settle()
        #expect(users(node, bob, "dev") == ["ann"])
        node.turn(.session(ann, .subscriptionEnded(room: "dev", stay: node.subscriptions.last!.request.stay)))
        node.settle()
        #expect(users(node, bob, "dev") == [] && node.history("dev") == ["ann joined", "ann left"])
        node.send(ann, .unsubscribe(room: "dev"))
        #expect(node.shown(ann).last?.body == ErrorCode.notSubscribed.sentence.string)
    }

    @Test("who comes while a batch is on its way is shown it in its own generation")
    func late() {
        let node = CoreUnderTest()
        let bob = node.enter("bob", "dev")
        node.settle()
        node.say(bob, "on its way")
        node.send(bob, .write(DocumentWriteCommand(.counter, doc: "d", DocumentWrite(.increment, amount: 2))))
        var compact: [ShownFrame] = []
        node.onDelivery = { batch, _ in
            for record in batch.records {
                if let frame = ShownFrame(batch.bytes(of: record, for: .second)) { compact.append(frame) }
            }
        }
        _ = node.arrive("ann")
        node.settle()
        #expect(compact.map(\.type) == ["message", "doc"] && compact.last?.total == 2)
        #expect(node.violations == [])
    }

    @Test("lists come in pages, sorted, each name once")
    func pages() {
        let node = CoreUnderTest()
        let ann = node.arrive("ann")
        for number in 0..<7 {
            _ = node.enter(Text("u\(number)"), "big")
            _ = node.enter("zoe", Text("team/\(number)"))
        }
        node.settle()
        var users: [String] = []
        var after: Text?
        repeat {
            node.forgetShown()
            node.send(ann, .users(UsersCommand(room: "big", after: after, limit: 3)))
            let page = node.shown(ann).last
            #expect(page?.count == 7 && page?.users?.count ?? 9 <= 3)
            users += page?.users ?? []
            after = page?.next.map { Text($0) }
        } while after != nil
        #expect(users == (0..<7).map { "u\($0)" })
        node.send(ann, .rooms(RoomsCommand(prefix: "team/", after: "team/3", limit: 2)))
        let rooms = node.shown(ann).last
        #expect(rooms?.rooms == ["team/4", "team/5"] && rooms?.next == "team/5")
    }
}

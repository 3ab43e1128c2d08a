import ConvergeCRDT
import ConvergeWire

@testable import ConvergeClient

/// One connection as a node of the model sees it: what it has been sent, what is on its way to the client, and which rooms
/// the client is in.
struct ModelServer {
    let node: Int
    let number: Int
    let generation: ProtocolGeneration
    /// First generation: the one room, and where to resume it from.
    let room: String
    private let cursor: String?

    var toServer: [ChatCommand] = []
    var toClient: [ConnectionMachine.Event]
    private(set) var isWelcome = false
    private(set) var subscribed: Set<String> = []
    /// What was shown live, which is on no page of a resume that is asked for by a frame.
    private var live: Set<String> = []

    init(node: Int, number: Int, generation: ProtocolGeneration, room: String, cursor: String?) {
        self.node = node
        self.number = number
        self.generation = generation
        self.room = room
        self.cursor = cursor
        toClient = [.opened(generation)]
    }

    mutating func welcome(_ cluster: ModelCluster, said limit: Int?) {
        isWelcome = true
        var welcome = Welcome(userID: "ann", displayName: "Ann")
        if generation == .second {
            welcome.roomLimit = limit
            welcome.node = "\(cluster.replica(node))"
            return toClient.append(.chat(.welcome(welcome)))
        }
        subscribed = [room]
        welcome.room = room
        welcome.cursor = cluster.cursor(node)
        toClient.append(.chat(.welcome(welcome)))
        guard let bytes = cursor.map({ Array($0.utf8) }),
            case .at(let from) = bytes.withUnsafeBytes({ ClientCursor(text: $0) })
        else { return }
        toClient += cluster.resume(from: from, in: room, at: node, limit: 3, ref: nil).map { .chat($0) }
    }

    mutating func refuse(_ reason: String, _ command: ChatCommand) {
        toClient.append(.chat(.error(ServerError(reason, ref: command.ref))))
    }

    /// Answers what is no message.
    mutating func answer(_ command: ChatCommand, _ cluster: ModelCluster, limit: Int) {
        let name = command.room ?? room
        switch command.type {
        case "subscribe":
            guard subscribed.contains(name) || subscribed.count < limit else {
                return refuse("too many rooms", command)
            }
            subscribed.insert(name)
            toClient.append(
                .chat(.subscribed(Subscribed(room: name, cursor: cluster.cursor(node), ref: command.ref))))
            guard let from = command.cursor else { return }
            toClient += cluster.resume(from: from, in: name, at: node, limit: 3, ref: nil).map { .chat($0) }
        case "unsubscribe":
            subscribed.remove(name)
            toClient.append(.chat(.unsubscribed(Unsubscribed(room: name, ref: command.ref))))
        case "resume":
            let pages = cluster.resume(
                from: command.cursor ?? VersionVector(), in: room, at: node, limit: 3, ref: command.ref)
            toClient += pages.map { .chat(withoutLive($0)) }
        case "rooms": toClient.append(.chat(.rooms(["dev"], ref: command.ref)))
        default: toClient.append(.chat(.users(MemberList(room: name, userIDs: []), ref: command.ref)))
        }
    }

    private func withoutLive(_ event: ChatEvent) -> ChatEvent {
        guard case .history(var page) = event else { return event }
        page.entries.removeAll { if case .message(let line) = $0 { live.contains(line.id) } else { false } }
        return .history(page)
    }

    /// Ends a subscription, as a node does whose retention has overtaken a slow client.
    mutating func kick(_ room: String, isRecovered: Bool) {
        guard generation == .second else { return }
        subscribed.remove(room)
        toClient.append(
            .chat(.unsubscribed(Unsubscribed(room: room, reason: "history is gone", isRecovered: isRecovered))))
    }

    mutating func tellCursors(_ cluster: ModelCluster) {
        toClient.append(
            .chat(.cursors(subscribed.sorted().map { RoomCursor(room: $0, cursor: cluster.cursor(node)) })))
    }

    mutating func show(_ entry: ModelCluster.Entry) {
        guard isWelcome, subscribed.contains(entry.room) else { return }
        toClient.append(.chat(ModelCluster.frame(entry)))
        live.insert(entry.id)
    }
}

import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire

@testable import ConvergeClient

/// A client that is the library itself: its machines decide when it connects, what it sends again and what it shows. Here
/// is what of that is checked: each line once and in the order of its log, nothing left out that was not told, each of its
/// own messages stored once, in order.
final class LibraryClient {
    /// With one room on it.
    var core: RoomLink
    /// What it and its nodes agree on.
    let generation: ProtocolGeneration
    var outbox: Outbox
    var choices: SplitMix64
    let room: Text
    var hasStarted = false
    var wantsToken = false
    /// The connection that is to be made.
    var connecting: (number: Int, server: Int, cursor: String?)?
    var connection: Connection?
    /// Pings that are not answered.
    var pings: [UInt64] = []

    private(set) var keys: [String] = []
    private(set) var stored: [String: Receipt] = [:]
    /// What it was shown, by id, as lines and by log. An id alone may name two lines, where a log was written twice; no two
    /// messages say the same.
    private var ids: Set<String> = []
    private var lines: Set<String> = []
    private var reached = VersionVector()
    /// What it is not owed; nil until it has begun.
    private var origin: VersionVector?
    private var checked = VersionVector()

    init(index: Int, room: Text, nodes: Int, seed: UInt64, generation: ProtocolGeneration) {
        self.room = room
        self.generation = generation
        choices = SplitMix64(seed &+ UInt64(index), .library)
        var options = RoomLink.Options()
        // In the end all must be well within the cluster's own patience.
        options.session.pingEvery = .seconds(2)
        options.session.lostAfter = .seconds(6)
        options.session.patience = .seconds(3)
        options.reconnect.backoff.greatest = .seconds(2)
        core = RoomLink(
            urls: (0..<nodes).map { try! ServerURL("ws://n\($0)") },  // a literal
            first: choices.below(nodes), options: options, generator: SeededGenerator(seed: choices.next()))
        var unstarted: [RoomLink.Effect] = []
        core.add(RoomSession(room: room.string, options: options.session), at: 0, into: &unstarted)
        outbox = Outbox(generator: SeededGenerator(seed: choices.next()))
    }

    var session: RoomSession? { core.session(of: room.string) }

    // MARK: What it says

    func newMessage(_ index: Int) -> UnsentMessage {
        let key = "library \(index) \(keys.count)"
        keys.append(key)
        return UnsentMessage(key: key, room: room.string, body: key)
    }

    /// What is wrong with it, if anything.
    func stored(_ key: String, _ receipt: Receipt) -> String? {
        stored.updateValue(receipt, forKey: key) == nil ? nil : "\(key) is told stored twice"
    }

    /// The first of its messages that was stored before the one that it was sent after.
    func outOfOrder() -> String? {
        var last: Position?
        for key in keys {
            guard let position = stored[key]?.position else { continue }
            if let last, position <= last { return "\(key) stands before what was sent before it" }
            last = position
        }
        return nil
    }

    // MARK: What it is shown

    /// - Parameter isForked: its log was written twice: that may come again from the beginning, to whoever says that it has
    ///   seen more of it than there is. What was handed out is not even then.
    func shown(_ line: ChatLine, isForked: Bool) -> String? {
        ids.insert(line.id)
        guard lines.insert("\(line.id) \(line.body)").inserted else { return "\(line.id) is handed out twice" }
        guard let dot = line.dot, !isForked else { return nil }
        defer { reached.advance(to: dot) }
        return dot.seq > reached[dot.replica] ? nil : "\(dot) is handed out after \(reached[dot.replica])"
    }

    /// These logs are shown from the beginning: of what it was not shown then, not having been there, some comes now.
    func beginAnew(_ logs: Set<ReplicaID>) {
        for log in logs { reached[log] = 0 }
    }

    /// It has begun where the cursor is now, and is owed nothing before that.
    func begin(excusing vector: VersionVector) {
        guard origin == nil, let cursor = session?.cursor else { return }
        origin = cursor
        origin?.merge(vector)
    }

    /// It was told that something may be missing up to here.
    func forgive() {
        guard let cursor = session?.cursor else { return }
        origin?.merge(cursor)
    }

    /// It has been told that it has all up to its cursor.
    var hasResumed = false

    /// What was on the disk before its node had opened it came before, and will not come live; a resume has it.
    func excuse(_ vector: VersionVector) {
        if session?.phase == .live, !hasResumed { origin?.merge(vector) }
    }

    private func words(_ dot: Dot?) -> String? { dot.map { "\($0), which its cursor covers, was never handed out" } }

    /// What is missing of what its cursor covers, if anything is.
    func missing(_ ledger: Ledger) -> String? {
        guard let origin, let cursor = session?.cursor, !ledger.isForked(within: cursor) else { return nil }
        defer { checked = cursor }
        return words(ledger.firstUnshown(in: room, after: checked, through: cursor, origin: origin, shown: ids))
    }

    /// What is missing of all that the vector covers.
    func missing(_ ledger: Ledger, through vector: VersionVector) -> String? {
        guard let origin, !ledger.isForked(within: vector) else { return nil }
        return words(
            ledger.firstUnshown(in: room, after: VersionVector(), through: vector, origin: origin, shown: ids))
    }
}

extension ShownFrame {
    /// The frame as the library's decoder would read it: of the kinds that reach this client.
    var event: ChatEvent? {
        switch type {
        case "welcome":
            return .welcome(Welcome(room: room, userID: user, displayName: name, cursor: cursor))
        case "message": return .message(line)
        case "system": return .system(line)
        case "history":
            return .history(
                HistoryFrame(
                    room: room, entries: (history ?? []).compactMap(\.event), ref: ref, isResume: isResume,
                    cursor: cursor, isRecovered: recovered ?? true))
        case "resumed":
            return .resumed(
                Resumed(
                    room: room, isRecovered: recovered ?? false, cursor: cursor, documents: docs ?? [], ref: ref))
        case "ack":
            return .ack(Receipt(id: id, position: position, copies: copies, isDuplicate: isDuplicate), ref: ref)
        case "error": return .error(ServerError(body, code: code, ref: ref))
        case "subscribed": return .subscribed(Subscribed(room: room, cursor: cursor, ref: ref))
        case "unsubscribed": return .unsubscribed(Unsubscribed(room: room, isRecovered: recovered ?? true, ref: ref))
        case "cursors":
            return .cursors((cursors ?? [:]).map { RoomCursor(room: $0.key, cursor: $0.value) })
        case _ where type.hasPrefix("crdt_") || type == "doc":
            return .document(
                DocumentEvent(
                    type: type, room: room, document: doc, userID: user, body: body, items: items ?? [], value: value,
                    id: id, position: position, dot: dot, ref: ref))
        default: return nil
        }
    }

    private var line: ChatLine {
        ChatLine(id: id, room: room, userID: user, displayName: name, body: body, position: position, dot: dot)
    }
}

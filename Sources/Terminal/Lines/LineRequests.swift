import ConvergeClient
import ConvergeTransport
import ConvergeWire

/// Carries out what the line client wants of the servers. Answers come back through the mailbox of its loop.
///
/// Used by that loop alone; what waits for a server waits in tasks, one at a time.
final class LineRequests {
    private let client: ChatClient
    private let mailbox: Mailbox<LineArrival>
    private var rooms: [String: ChatRoom] = [:]

    init(client: ChatClient, mailbox: Mailbox<LineArrival>) {
        self.client = client
        self.mailbox = mailbox
    }

    /// - Returns: why not; nil where it is followed now.
    func join(_ name: String) -> String? {
        do throws(ChatClientError) {
            rooms[name] = try client.join(name)
            return nil
        } catch {
            return error.message
        }
    }

    func leave(_ name: String) { rooms.removeValue(forKey: name)?.leave() }

    func reconnect(_ name: String) { rooms[name]?.reconnect() }

    enum Taken {
        /// On its way, under this key.
        case sent(key: String)
        case refused(String)
    }

    func send(_ body: String, to name: String) -> Taken {
        guard let room = rooms[name] else { return .refused("the room is not followed") }
        do throws(SendFailure) {
            return .sent(key: try room.send(body).key)
        } catch {
            return .refused(error.message)
        }
    }

    func ask(_ question: LineQuestion, in name: String) {
        guard let room = rooms[name] else {
            return mailbox.post(.answer(.refused("the room is not followed")))
        }
        let client = client
        let mailbox = mailbox
        Task {
            let answer = await question.answer(in: room, of: client) { mailbox.post(.progress) }
            mailbox.post(.answer(answer))
        }
    }

    func lookUp(_ url: ServerURL, authorityFile: String?) {
        let mailbox = mailbox
        NodeLookUp.start(url, authorityFile: authorityFile) { names, _ in mailbox.post(.names(names)) }
    }
}

extension LineQuestion {
    /// - Parameter progressed: told when a part of it has come.
    fileprivate func answer(
        in room: ChatRoom, of client: ChatClient, progressed: @Sendable () -> Void
    ) async -> LineAnswer {
        if case .document(let request) = self, request.action != .show { return await Self.change(request, in: room) }
        do throws(RequestFailure) {
            if case .history(let count?) = self { return try await Self.history(count, in: room, progressed) }
            return .shown(try await events(in: room, of: client))
        } catch {
            switch error {
            case .notConnected, .connectionLost: return .interrupted(error.message)
            case .refused, .tooMany, .closed, .cancelled: return .refused(error.message)
            }
        }
    }

    private static func change(_ request: DocumentRequest, in room: ChatRoom) async -> LineAnswer {
        do throws(SendFailure) {
            try await room.change(request)
            return .shown([])
        } catch {
            switch error {
            case .notConnected: return .interrupted(error.message)
            // It has no key: to send it again might do it twice.
            case .connectionLost:
                return .refused(
                    "\(request.name): the connection was lost before the answer; it may have changed or not")
            default: return .refused("\(request.name) was not changed: \(error.message)")
            }
        }
    }

    /// The most bytes of bodies that are gathered before anything is shown.
    private static let historyBytes = 64 << 20

    /// Page by page, since a node gives only so many at once.
    private static func history(
        _ count: Int, in room: ChatRoom, _ progressed: @Sendable () -> Void
    ) async throws(RequestFailure) -> LineAnswer {
        var pages: [HistoryPage] = []
        var (came, bytes) = (0, 0)
        var before: Position?
        var isCut = false
        repeat {
            let page = try await room.history(before: before, limit: count - came)
            progressed()
            came += page.entries.count
            for entry in page.entries { bytes += entry.line.body.utf8.count }
            before = page.entries.isEmpty ? nil : page.older
            isCut = bytes > historyBytes && came < count && before != nil
            pages.append(page)
        } while came < count && before != nil && !isCut
        let entries = pages.reversed().flatMap(\.entries).map(\.event)
        let frame = HistoryFrame(room: pages.last?.room ?? room.name, entries: entries)
        return .shown(
            [.history(frame)],
            note: isCut ? "these are the last \(came): with more it would be over \(historyBytes >> 20) MiB" : nil)
    }

    private func events(in room: ChatRoom, of client: ChatClient) async throws(RequestFailure) -> [ChatEvent] {
        switch self {
        case .rooms: return [.rooms(try await client.rooms(), ref: nil)]
        case .users: return [.users(try await room.members(), ref: nil)]
        case .history(let limit):
            let page = try await room.history(limit: limit)
            return [.history(HistoryFrame(room: page.room, entries: page.entries.map(\.event)))]
        case .documents: return [.documents(try await room.documents(), room: room.name, ref: nil)]
        case .document(let request):
            guard let readings = try await room.read(document: request.name) else {
                throw .refused("there is no document \(request.name)")
            }
            guard !readings.isEmpty else { throw .refused("\(request.name) can't be read just now") }
            return readings.map { .document($0.event(request.name, room: room.name)) }
        }
    }
}

extension HistoryPage.Entry {
    fileprivate var event: ChatEvent {
        switch self {
        case .message(let line): .message(line)
        case .presence(let line, _): .system(line)
        }
    }
}

/// What reaches the line client's loop from tasks.
enum LineArrival: Sendable {
    case events([ClientEvent])
    case answer(LineAnswer)
    /// A part of the answer has come.
    case progress
    /// What nodes are called, by their replicas.
    case names([String: String])
    /// Such as a token that could not be had.
    case trouble(String)
}

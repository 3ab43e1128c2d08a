import ConvergeClient
import ConvergeTransport

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

    /// - Returns: why not; nil where it is on its way.
    func send(_ body: String, to name: String) -> String? {
        guard let room = rooms[name] else { return "the room is not followed" }
        do throws(SendFailure) {
            try room.send(body)
            return nil
        } catch {
            return error.message
        }
    }

    func ask(_ question: LineQuestion, in name: String) {
        guard let room = rooms[name] else {
            return mailbox.post(.answer(.refused("the room is not followed")))
        }
        let client = client
        let mailbox = mailbox
        Task { mailbox.post(.answer(await question.answer(in: room, of: client))) }
    }
}

extension LineQuestion {
    fileprivate func answer(in room: ChatRoom, of client: ChatClient) async -> LineAnswer {
        if case .document(let request) = self, request.action != .show { return await Self.change(request, in: room) }
        do throws(RequestFailure) {
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

    private func events(in room: ChatRoom, of client: ChatClient) async throws(RequestFailure) -> [ChatEvent] {
        switch self {
        case .rooms: return [.rooms(try await client.rooms(), ref: nil)]
        case .users: return [.users(try await room.members(), ref: nil)]
        case .history(let limit):
            let page = try await room.history(limit: limit)
            let entries = page.entries.map { entry -> ChatEvent in
                switch entry {
                case .message(let line): .message(line)
                case .presence(let line, _): .system(line)
                }
            }
            return [.history(HistoryFrame(room: page.room, entries: entries))]
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

/// What reaches the line client's loop from tasks.
enum LineArrival: Sendable {
    case events([ClientEvent])
    case answer(LineAnswer)
    /// Such as a token that could not be had.
    case trouble(String)
}

import ConvergeClient
import ConvergeTransport
import ConvergeWire

/// Carries out what the screen wants of the servers. Answers come back as events, through the mailbox of the screen's loop.
///
/// Used by that loop alone; what waits for a server waits in tasks.
final class ScreenRequests {
    private let client: ChatClient
    private let mailbox: Mailbox<ScreenInput>
    private let servers: [ServerURL]
    private let authorityFile: String?
    private var rooms: [String: ChatRoom] = [:]

    init(client: ChatClient, mailbox: Mailbox<ScreenInput>, settings: ChatSettings) {
        self.client = client
        self.mailbox = mailbox
        servers = settings.servers
        authorityFile = settings.authorityFile
    }

    /// - Returns: what can be told at once.
    func perform(_ effect: ScreenEffect, events: inout ScreenEvents) -> ScreenEvent? {
        switch effect {
        case .join(let name):
            do throws(ChatClientError) {
                rooms[name] = try client.join(name)
            } catch {
                return .ended(room: name, reason: error.message)
            }
        case .leave(let name): rooms.removeValue(forKey: name)?.leave()
        case .reconnect(let name):
            guard let room = try? client.join(name) else { break }
            // It is the same one, or begins anew where it had ended.
            rooms[name] = room
            room.reconnect()
        case .lookUp(let server): lookUp(server)
        case .send(let name, let body, let tag): return send(body, to: name, tag: tag, &events)
        case .history(let name, let before, let limit): history(name, before, limit)
        case .members(let name): members(name)
        case .rooms: listRooms()
        case .documents(let name): listDocuments(name)
        case .document(let name, let request): document(request, name)
        case .bell, .redraw, .suspend, .quit: break
        }
        return nil
    }

    private func send(_ body: String, to name: String, tag: Int, _ events: inout ScreenEvents) -> ScreenEvent? {
        guard let room = rooms[name] else {
            return .sending(room: name, tag: tag, .refused("the room is not followed"))
        }
        do throws(SendFailure) {
            events.sent(key: try room.send(body).key, tag: tag)
            return nil
        } catch {
            return .sending(room: name, tag: tag, .refused(error.message))
        }
    }

    // MARK: Questions

    /// Runs in a task, and posts what comes of it.
    private func ask(
        _ name: String, _ question: @escaping @Sendable (ChatRoom) async throws(RequestFailure) -> ScreenEvent?,
        failed: @escaping @Sendable (RequestFailure) -> ScreenEvent?
    ) {
        guard let room = rooms[name] else { return }
        let mailbox = mailbox
        Task {
            var event: ScreenEvent?
            do throws(RequestFailure) {
                event = try await question(room)
            } catch {
                event = failed(error)
            }
            if let event { mailbox.post(.answer(event)) }
        }
    }

    private func history(_ name: String, _ before: String?, _ limit: Int) {
        let position = before.flatMap { Position(Text($0)) }
        ask(name) { room throws(RequestFailure) in
            let page = try await room.history(before: position, limit: limit)
            return .history(room: name, ScreenEvents.page(page, Int64(SystemClock.wallMilliseconds())))
        } failed: { failure in
            // When the connection is back it is asked again.
            switch failure {
            case .notConnected, .connectionLost, .cancelled, .closed: .history(room: name, .interrupted)
            case .refused, .tooMany: .history(room: name, .unavailable(failure.message))
            }
        }
    }

    private func members(_ name: String) {
        ask(name) { room throws(RequestFailure) in
            let list = try await room.members(limit: ChatScreen.memberLimit)
            let members =
                list.members.isEmpty
                ? list.userIDs.map { ScreenMember(userID: $0, name: $0) }
                : list.members.map {
                    ScreenMember(
                        userID: $0.userID, name: $0.displayName.isEmpty ? $0.userID : $0.displayName,
                        sessions: $0.sessions)
                }
            return .members(room: name, members, count: list.count)
        } failed: { _ in
            nil
        }
    }

    private func listRooms() {
        let client = client
        let mailbox = mailbox
        Task {
            do throws(RequestFailure) {
                mailbox.post(.answer(.roomList(try await client.rooms())))
            } catch {
                mailbox.post(.answer(.roomListFailed(error.message)))
            }
        }
    }

    /// Where a server does not say, as through a proxy that keeps this inside, nothing is known and nothing is told.
    private func lookUp(_ server: String) {
        guard let url = servers.first(where: { $0.authority == server }) else { return }
        let mailbox = mailbox
        NodeLookUp.start(url, authorityFile: authorityFile) { names, limit in
            mailbox.post(.answer(.nodes(names: names, bodyLimit: limit)))
        }
    }

    private func listDocuments(_ name: String) {
        ask(name) { room throws(RequestFailure) in
            .documentList(
                room: name, try await room.documents().map { DocumentLabel(name: $0.name, kind: $0.sort?.words) })
        } failed: {
            .failed(room: name, "the documents can't be listed: \($0.message)")
        }
    }

    // MARK: Documents

    private func document(_ request: DocumentRequest, _ name: String) {
        guard let room = rooms[name] else { return }
        guard request.action != .show else { return showDocument(request.name, name) }
        let mailbox = mailbox
        Task {
            do throws(SendFailure) {
                try await room.change(request)
            } catch {
                mailbox.post(.answer(.failed(room: name, "\(request.name) was not changed: \(error.message)")))
            }
        }
    }

    private func showDocument(_ document: String, _ name: String) {
        ask(name) { room throws(RequestFailure) in
            guard let readings = try await room.read(document: document) else {
                return .failed(room: name, "there is no document \(document)")
            }
            guard !readings.isEmpty else { return .failed(room: name, "\(document) can't be read just now") }
            return .note(room: name, readings.map { $0.words(document) }.joined(separator: "\n"))
        } failed: {
            .failed(room: name, "\(document) can't be read: \($0.message)")
        }
    }
}

/// What reaches the screen's loop from tasks.
enum ScreenInput: Sendable {
    case events([ClientEvent])
    case answer(ScreenEvent)
    /// The client is closed.
    case over
}

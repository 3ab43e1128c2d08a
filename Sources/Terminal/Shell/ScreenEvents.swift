import ConvergeClient
import ConvergeWire

/// Puts the client library's events into the words of the screen. The keys by which the library knows messages become the
/// numbers by which the screen knows them.
struct ScreenEvents {
    private var tags: [String: Int] = [:]

    /// A message that was handed to the library.
    mutating func sent(key: String, tag: Int) { tags[key] = tag }

    /// - Parameter now: wall time, in milliseconds since 1970.
    mutating func event(_ event: ClientEvent, at now: Int64) -> ScreenEvent? {
        let room = event.room
        switch event.event {
        case .connection(let state): return connection(state, room, now)
        case .message(let line, let isMissed):
            return .message(room: room, Self.message(line, now), isMissed: isMissed)
        case .presence(let line, let joined, let isMissed):
            return .presence(room: room, Self.message(line, now), joined: joined, isMissed: isMissed)
        case .resumed(let recovered, let missed, _):
            return .resumed(room: room, recovered: recovered, missed: missed)
        case .document(let change): return Self.change(change, now).map { .document(room: room, $0) }
        case .sending(let key, let state):
            guard let tag = tags[key] else { return nil }
            if state.isFinal { tags[key] = nil }
            return .sending(room: room, tag: tag, Self.progress(state))
        case .latency(let duration): return .latency(room: room, milliseconds: Int(clamping: duration.milliseconds))
        case .complaint(let text): return .failed(room: room, text)
        }
    }

    private func connection(_ state: ConnectionState, _ room: String, _ now: Int64) -> ScreenEvent? {
        switch state {
        case .connecting(let url, _): return .connecting(room: room, server: url.authority)
        case .live(let url, let node, let userID, let name):
            return .live(
                room: room, server: url.authority, node: node, userID: userID, name: name)
        case .waiting(let pause, let reason):
            return .waiting(
                room: room, until: now + Int64(clamping: pause.milliseconds), reason: reason,
                isTokenRefused: reason == EndReason.unauthorized.message)
        case .ended(.left): return nil
        case .ended(let reason): return .ended(room: room, reason: reason.message)
        }
    }

    static func message(_ line: ChatLine, _ now: Int64) -> ScreenMessage {
        ScreenMessage(
            id: line.id, userID: line.userID, name: line.displayName, body: line.body,
            milliseconds: ReadTimestamp(rfc3339: Text(line.timestamp))?.milliseconds ?? now,
            position: line.position?.text.string)
    }

    static func page(_ page: HistoryPage, _ now: Int64) -> HistoryAnswer {
        .page(
            page.entries.map { entry in
                switch entry {
                case .message(let line): .message(message(line, now))
                case .presence(let line, let joined): .presence(message(line, now), joined: joined)
                }
            }, isWhole: page.older == nil)
    }

    private static func progress(_ state: SendState) -> SendProgress {
        switch state {
        case .queued, .sent: .sent
        case .refused(let reason): .refused(reason)
        case .stored(let receipt):
            .stored(
                id: receipt.id, position: receipt.position?.text.string,
                milliseconds: ReadTimestamp(rfc3339: Text(receipt.timestamp))?.milliseconds)
        }
    }

    /// Nil for what only answers a question.
    private static func change(_ event: DocumentEvent, _ now: Int64) -> DocumentChange? {
        let kind: DocumentChange.Kind
        switch event.type {
        case "crdt_orset_added": kind = .added(event.body ?? "")
        case "crdt_orset_removed": kind = .removed(event.body ?? "")
        case "crdt_lww_set": kind = event.body.map { .set($0) } ?? .cleared
        case "crdt_counter_changed": kind = .counted(by: event.amount ?? 0, value: event.value)
        case "doc":
            let field = event.field ?? ""
            kind = event.fieldValue.map { .put(MapWords.field(field, $0)) } ?? .dropped(field)
        default: return nil
        }
        return DocumentChange(
            userID: event.userID, name: event.displayName.isEmpty ? event.userID : event.displayName,
            document: event.document, kind: kind,
            milliseconds: ReadTimestamp(rfc3339: Text(event.timestamp))?.milliseconds ?? now)
    }
}

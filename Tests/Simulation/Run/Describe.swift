import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// Events and effects in a few words, for a trace that people read.
enum Describe {
    static func events(_ events: [CoreEvent]) -> String { events.map(event).joined(separator: " · ") }

    static func event(_ event: CoreEvent) -> String {
        switch event {
        case .session(let session, .entered(let user, _, let room)): "\(name(session)) is \(user) in \(room)"
        case .session(let session, .command(let ref, let command)):
            "\(name(session)) \(ref?.string ?? "-") \(self.command(command))"
        case .session(let session, .left): "\(name(session)) left"
        case .store(let event): store(event)
        case .keysFound(let ids, let found):
            switch found {
            case .success(let positions): "\(positions.count) of \(ids.count) keys found"
            case .failure: "keys unreadable"
            }
        case .tick: "tick"
        case .historyAnswered: "history answered"
        case .loopStopped: "loop stopped"
        }
    }

    static func name(_ session: SessionID) -> String { "s\(session.slot)" }

    static func store(_ event: StoreEvent) -> String {
        switch event {
        case .opened(let recovered): "opened at \(recovered.head)"
        case .openFailed(let error): "not opened: \(error.message)"
        case .committed: "committed"
        case .pruned(let count): "pruned \(count)"
        case .failed(let error): "failed: \(error.message)"
        }
    }

    static func batch(_ batch: Batch) -> String {
        let dots = batch.entries.map { "\($0.dot)\(kind($0))" }.joined(separator: " ")
        return "\(dots) and \(batch.effects.count) effects"
    }

    private static func kind(_ entry: Entry) -> String {
        switch entry.kind {
        case .message: "m"
        case .system: "s"
        case .document: "d"
        default: "?"
        }
    }

    static func command(_ command: ClientCommand) -> String {
        switch command {
        case .message(let message):
            "says \(String(decoding: message.body, as: UTF8.self))"
                + (message.key.map { " key \($0)" } ?? "") + (message.room.map { " in \($0)" } ?? "")
        case .join(let room): "joins \(room)"
        case .leave: "leaves"
        case .rooms: "rooms?"
        case .users(let room, _, _): "users of \(room?.string ?? "here")?"
        case .history(let room, let limit, let before):
            "history of \(room?.string ?? "here") \(limit ?? 0)\(before == nil ? "" : " before")?"
        case .setAdd(let write): "adds \(write.value?.string ?? "") to \(write.doc)"
        case .setRemove(let write): "removes \(write.value?.string ?? "") from \(write.doc)"
        case .registerSet(let write): "sets \(write.doc) to \(write.value?.string ?? "nothing")"
        case .setValues(let doc): "values of \(doc)?"
        case .registerGet(let doc): "value of \(doc)?"
        }
    }
}

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
        case .session(let session, .arrived(_, let user, _)): "\(name(session)) is \(user)"
        case .session(let session, .subscriptionEnded(let room, _)): "\(name(session)) is behind in \(room)"
        case .session(let session, .left): "\(name(session)) left"
        case .store(let event): store(event)
        case .keysFound(let ids, let found):
            switch found {
            case .success(let positions): "\(positions.count) of \(ids.count) keys found"
            case .failure: "keys unreadable"
            }
        case .tick: "tick"
        case .historyAnswered: "history answered"
        case .readAhead(let read): "read ahead for \(name(read.session)), to \(read.needs.components)"
        case .loopStopped: "loop stopped"
        case .link(let link, .opened(let dialled)):
            "link \(link.rawValue) opened \(dialled?.string ?? "by the other side")"
        case .link(let link, .received(let bytes)): "link \(link.rawValue) \(bytes.count) bytes"
        case .link(let link, .closed): "link \(link.rawValue) closed"
        case .dialFailed(let address): "nobody at \(address)"
        case .rangeRead(_, .success(let read)): "\(read.entries.count) entries of ranges"
        case .rangeRead(_, .failure(let error)): "ranges: \(error.message)"
        case .snapshotRead(_, .success(let chunk)): "a piece of a snapshot, \(chunk.status)"
        case .snapshotRead(_, .failure(let error)): "snapshot: \(error.message)"
        case .attendanceRead(let keys, _): "attendance of \(keys.count)"
        case .headsRead: "heads of the store"
        case .sharedRead(_, .success(let read)): "\(read.entries.count) entries of the store"
        case .sharedRead(_, .failure(let error)): "the store: \(error.message)"
        case .redact(let dot, _): "redact \(dot)"
        }
    }

    static func name(_ session: SessionID) -> String { "s\(session.slot)" }

    static func store(_ event: StoreEvent) -> String {
        switch event {
        case .opened(let recovered): "opened at \(recovered.head)"
        case .openFailed(let error): "not opened: \(error.message)"
        case .committed: "committed"
        case .pruned(let pruned): "pruned \(pruned.dropped)"
        case .staged: "staged"
        case .installed(let recovered): "installed, \(recovered.vector.components)"
        case .parted(let dot): "parted at \(dot)"
        case .reloaded(let recovered): "reloaded, \(recovered.vector.components)"
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
        case .redaction: "r"
        default: "?"
        }
    }

    static func peerFrame(_ frame: PeerFrame) -> String {
        switch frame {
        case .hello(let hello): "hello, \(hello.replica) boot \(hello.boot)"
        case .refused(let why): "refused, \(why)"
        case .probe(let number, let news): "probe \(number) \(members(news))"
        case .probeRequest(let number, let target, let news): "probe \(target) for me \(number) \(members(news))"
        case .probeAck(let number, let news): "probe ack \(number) \(members(news))"
        case .probeNack(let number): "probe nack \(number)"
        case .members(let news): "members \(members(news))"
        case .entries(let entries, _): "entries \(entries.map { "\($0.dot)\(kind($0))" }.joined(separator: " "))"
        case .stored(let seq, let bytes): "stored \(seq), \(bytes) bytes"
        case .digest(let digest):
            "digest \(digest.heads.map { "\($0.dot)" }.joined(separator: " ")) floors \(digest.floors) "
                + "presence \(digest.presence.map { "\($0.owner) \($0.boot).\($0.version)" })"
        case .summary(let hash): "summary \(String(hash, radix: 16))"
        case .want(let want): "want \(want.ranges.map { "\($0.replica):\($0.after)–\($0.through)" })"
        case .range(let range): "range, \(range.status), \(range.entries.map { "\($0.dot)\(kind($0))" })"
        case .snapshotWant(let want): "snapshot from \(want.have.components)"
        case .snapshotChunk(let chunk):
            "snapshot piece, \(chunk.status), \(chunk.documents.count) documents, \(chunk.entries.count) entries"
        case .presenceDelta(let delta): "presence of \(delta.owner) \(delta.boot).\(delta.from) \(seats(delta.changes))"
        case .presenceWant(let want): "presence of \(want.owner)?"
        case .presenceChunk(let chunk):
            "presence of \(chunk.owner) \(chunk.boot).\(chunk.version) piece \(chunk.index)\(chunk.isLast ? ", last" : "") "
                + seats(chunk.seats)
        }
    }

    private static func members(_ news: [MemberUpdate]) -> String {
        news.map { "\($0.name) \($0.state) \($0.incarnation)" }.joined(separator: ", ")
    }

    private static func seats(_ seats: [Seat]) -> String {
        seats.map { "\($0.user) in \($0.room) \($0.sessions)" }.joined(separator: ", ")
    }

    static func command(_ command: ClientCommand) -> String {
        switch command {
        case .message(let message):
            "says \(String(decoding: message.body, as: UTF8.self))"
                + (message.key.map { " key \($0)" } ?? "") + (message.room.map { " in \($0)" } ?? "")
        case .join(let room): "joins \(room)"
        case .leave: "leaves"
        case .rooms: "rooms?"
        case .users(let asked): "users of \(asked.room?.string ?? "here")?"
        case .subscribe(let command):
            "subscribes to \(command.room)\(command.cursor == nil ? "" : ", and resumes")"
                + (command.member == false ? ", unseen" : "")
        case .unsubscribe(let room): "unsubscribes from \(room)"
        case .history(let room, let limit, let before):
            "history of \(room?.string ?? "here") \(limit ?? 0)\(before == nil ? "" : " before")?"
        case .write(let command):
            "\(command.write.operation) \(command.write.key) \(command.write.value?.string ?? "") "
                + "\(command.write.amount) in \(command.kind) \(command.doc)"
        case .read(let asked): "\(asked.kind) \(asked.doc)?"
        case .documents: "documents?"
        case .resume(let room, _): "resumes \(room?.string ?? "here")"
        }
    }
}

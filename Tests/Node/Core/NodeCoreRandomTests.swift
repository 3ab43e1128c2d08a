import ConvergeTestSupport
import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Random sessions, commands and faults of the store against a model that knows nothing of batches: only who sent what,
/// what they were answered, and who is where.
@Suite("NodeCore: random runs") struct NodeCoreRandomTests {
    @Test("whatever fails: nothing shown that is not stored, each answered once, no gap, presence is who is there")
    func runs() {
        var failures: [String] = []
        var seen = RandomRun.Coverage()
        for seed in UInt64(0)..<150 where failures.isEmpty {
            let run = RandomRun(seed: seed)
            for _ in 0..<160 { run.step() }
            run.finish()
            failures += run.problems().map { "seed \(seed): \($0)" }
            seen.add(run.coverage)
        }
        #expect(failures == [])
        // The runs must have met what they are about.
        #expect(
            seen.acks > 1_000 && seen.duplicates > 50 && seen.errors > 500 && seen.unknown > 50 && seen.renewals > 5)
    }
}

private final class RandomRun {
    struct Coverage {
        var acks = 0
        var duplicates = 0
        var errors = 0
        var unknown = 0
        var renewals = 0

        mutating func add(_ other: Coverage) {
            acks += other.acks
            duplicates += other.duplicates
            errors += other.errors
            unknown += other.unknown
            renewals += other.renewals
        }
    }

    private struct Sent {
        let session: SessionID
        /// Of a message: the words, unless it is a repeat.
        let body: String?
        let keyed: Bool
        var answers: [ShownFrame] = []
    }

    private struct Live {
        let user: Text
        var room: Text
    }

    private var random: SplitMix64
    private let node: CoreUnderTest
    private let moves: Bool
    private var live: [(id: SessionID, session: Live)] = []
    private var sent: [String: Sent] = [:]
    private var gone: Set<SessionID> = []
    private var count = 0
    private var wrong: [String] = []
    private(set) var coverage = Coverage()

    private static let rooms: [Text] = ["a", "b", "c"]
    private static let users: [Text] = ["ann", "bob", "carl"]

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        // Where commands may be refused with `busy`, the model does not know whether a room was changed: nobody moves.
        moves = seed % 3 > 0
        node = CoreUnderTest(loops: 3, saveBuffer: moves ? 100_000 : 24, opened: seed % 2 == 0)
    }

    func step() {
        node.now += UInt64.random(in: 0...40, using: &random)
        switch Int.random(in: 0..<16, using: &random) {
        case 0, 1: arrive()
        case 2: if random.once(in: 2) { depart() }
        case 3..<9: node.turn((0..<Int.random(in: 1...6, using: &random)).flatMap { _ in command() })
        case 9..<12: node.commit()
        case 12: node.answerReads(random.once(in: 4) ? .timeout("slow") : nil)
        case 13, 14: node.open()
        default: fault()
        }
        look()
    }

    private func arrive() {
        guard live.count < 8 else { return }
        let session = Live(
            user: Self.users.randomElement(using: &random)!, room: Self.rooms.randomElement(using: &random)!)
        let id = node.newSession()
        live.append((id, session))
        node.turn(.session(id, .entered(user: session.user, displayName: session.user, room: session.room)))
    }

    private func depart() {
        guard !live.isEmpty else { return }
        let (id, _) = live.remove(at: Int.random(in: 0..<live.count, using: &random))
        gone.insert(id)
        node.leave(id)
    }

    private func command() -> [CoreEvent] {
        guard let at = live.indices.randomElement(using: &random) else { return [] }
        let id = live[at].id
        count += 1
        let ref = "r\(count)"
        let command: ClientCommand
        var body: String?
        var keyed = false
        switch Int.random(in: 0..<14, using: &random) {
        case 0..<4:
            body = "m\(count)"
            let room = moves && random.once(in: 4) ? Self.rooms.randomElement(using: &random) : nil
            if let room { live[at].session.room = room }
            command = .say(body!, room: room)
        case 4..<6:
            // One key has one body, so that history shows a message that is there twice.
            let key = "k\(Int.random(in: 0..<6, using: &random))"
            body = "\(live[at].session.user) \(live[at].session.room) \(key)"
            keyed = true
            command = .say(body!, key: Text(key))
        case 6 where moves:
            let room = Self.rooms.randomElement(using: &random)!
            live[at].session.room = room
            command = .join(room: room)
        case 7: command = .add(element())
        case 8: command = .remove(element())
        case 9: command = .set(random.once(in: 5) ? nil : element())
        case 10: command = .read(.init(.orSet, doc: "d"))
        case 11: command = .count(Int64.random(in: -5...5, using: &random))
        case 12: command = random.once(in: 2) ? .read(.init(.counter, doc: "d")) : .documents(room: nil)
        default: command = .read(.init(.register, doc: "d"))
        }
        sent[ref] = Sent(session: id, body: body, keyed: keyed)
        return [.session(id, .command(ref: Text(ref), command))]
    }

    private func element() -> Text { ["x", "y", "z"].randomElement(using: &random)! }

    private func fault() {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: node.store.inject(.refuse(.full("disk")))
        case 1: node.store.inject(.refuseOpen(.unreachable("gone")))
        case 2 where random.once(in: 3): node.store.inject(.refuse(.syncFailed("io")))
        default:
            node.store.inject(.unknownOutcome(stored: random.once(in: 2)))
            coverage.unknown += 1
        }
    }

    /// Takes note of the answers to what was sent.
    private func look() {
        for (id, _) in live {
            for frame in node.shown(id) {
                guard let ref = frame.ref else { continue }
                sent[ref]?.answers.append(frame)
            }
        }
    }

    func finish() {
        node.settle()
        look()
        for room in Self.rooms { ask(room) }
    }

    /// Who the core says is in a room, and who it says joined and did not leave.
    private func ask(_ room: Text) {
        let expected = Set(live.filter { $0.session.room == room }.map(\.session.user.string))
        if let (id, _) = live.first {
            node.send(id, .users(UsersCommand(room: room)))
            let users = node.shown(id).last?.users
            if users != expected.sorted() { wrong.append("users of \(room): \(users ?? []), not \(expected.sorted())") }
        }
        var present: Set<String> = []
        for words in node.history(room) {
            let parts = words.split(separator: " ").map(String.init)
            if words.hasSuffix(" joined"), !present.insert(parts[0]).inserted {
                wrong.append("\(words) twice in \(room)")
            }
            if words.hasSuffix(" left"), present.remove(parts[0]) == nil { wrong.append("\(words), never there") }
        }
        if present != expected { wrong.append("history of \(room) ends with \(present), not \(expected)") }
    }

    func problems() -> [String] {
        var problems = node.violations + wrong
        let chain = EntryChain()
        let log = node.log
        if !chain.verifies(log, after: .zero) { problems.append("the chain is broken") }
        if log.map({ Int($0.dot.seq) }) != Array(1..<log.count + 1) { problems.append("the log has a gap") }
        coverage.renewals = node.reports.count { if case .identityRenewed = $0 { true } else { false } }

        var stored: [String: Int] = [:]
        for room in Self.rooms { for body in node.history(room) { stored[body, default: 0] += 1 } }
        // A join of the room that one is in is answered by the loop, which the core asks to.
        var asked: [String: Int] = [:]
        for case (_, let request) in node.resumes where request.cursor == nil {
            if let ref = request.ref { asked[ref.string, default: 0] += 1 }
        }
        for (ref, sent) in sent.sorted(by: { $0.key < $1.key }) {
            let answers = sent.answers.count + (asked[ref] ?? 0)
            if answers > 1 || (answers == 0 && !gone.contains(sent.session)) {
                problems.append("\(ref) was answered \(answers) times")
            }
            guard let answer = sent.answers.first else { continue }
            if answer.type == "ack" { coverage.acks += 1 }
            if answer.isDuplicate { coverage.duplicates += 1 }
            if answer.type == "error" { coverage.errors += 1 }
            guard let body = sent.body else { continue }
            let times = stored[body] ?? 0
            if answer.type == "ack", times != 1 { problems.append("\(body) is acked, and \(times) times in history") }
            if answer.type == "error", !sent.keyed, times != 0 { problems.append("\(body) is refused, and in history") }
            if times > 1 { problems.append("\(body) is \(times) times in history") }
        }
        return problems + documentProblems()
    }

    /// The documents as the stored entries alone make them, against what the core answers.
    private func documentProblems() -> [String] {
        guard let (id, session) = live.first else { return [] }
        let entries = (try? node.reader.entries(room: session.room, after: VersionVector(), limit: .max))?.entries ?? []
        // Hidden entries change documents, too: of this replica's log they are all there.
        let all = Set(entries.filter { $0.kind == .document } + node.log.filter { $0.room == session.room })
        var elements: [Text: Set<Dot>] = [:]
        var register: (position: Position, value: Text?)?
        var counted: Int64 = 0
        for entry in all.sorted(by: { $0.position < $1.position }) where entry.kind == .document {
            guard case .document(let payload) = entry.meaning else { continue }
            let delta = payload.delta
            switch delta.kind {
            case .orSet:
                elements[delta.key, default: []].subtract(delta.observed)
                if delta.operation == .add { elements[delta.key, default: []].insert(entry.dot) }
            case .register: register = (entry.position, delta.value)
            default: counted += delta.amount
            }
        }
        let expected = elements.filter { !$0.value.isEmpty }.keys.sorted().map(\.string)
        node.send(id, .read(.init(.orSet, doc: "d")))
        node.send(id, .read(.init(.counter, doc: "d")))
        node.send(id, .read(.init(.register, doc: "d")))
        let shown = node.shown(id)
        var problems: [String] = []
        if shown.first?.items != expected { problems.append("set \(shown.first?.items ?? []), not \(expected)") }
        let value = shown.count > 1 ? shown[1].value : nil
        if value != Int(counted) { problems.append("counter \(value ?? .min), not \(counted)") }
        if shown.last?.body != (register?.value?.string ?? "") { problems.append("register \(shown.last?.body ?? "")") }
        return problems
    }
}

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// After the faults: everything works again, and within a stated time all nodes must agree, with each other and with what
/// was promised.
extension World {
    func heal() {
        isHealed = true
        healedAt = now
        trace.note(now, -1, "HEAL")
        for index in mending.indices { mend(index) }
        wires.mendAll()
        lateDialsUntil = 0
        for disk in disks {
            disk.isFull = false
            disk.recover()
        }
        mendFarClocks()
        for node in nodes {
            node.clock.drift = 0
            schedule(.starts(node.index), after: 1_000)
        }
        noteHeal()
        wakeWires()
        schedule(.looks, after: .seconds(3))
    }

    /// Looks whether all agree; if not, looks again a little later, until patience ends.
    func look() {
        schedule(.looks, after: .milliseconds(500))
        let late = now > healedAt + scenario.patience
        let problems = verdictNow()
        if problems.isEmpty, !isAsking { isOver = true }
        if !isAsking || !problems.isEmpty { lastProblems = problems }
        if isOver {
            counts.convergence = now - healedAt
            checkCosts()
        }
        guard late else { return }
        if isOver { return }
        if lastProblems.isEmpty { violate(.convergence, -1, "the cluster does not come to rest") }
        for problem in lastProblems { violate(problem.rule, problem.node, problem.words) }
    }

    struct Problem {
        let rule: Violation.Rule
        let node: Int
        let words: String
    }

    /// What still differs. Goes through three stages: vectors, then questions to every node, then what they answered.
    private func verdictNow() -> [Problem] {
        if let down = nodes.first(where: { !$0.isUp || $0.writer == nil }) {
            isAsking = true
            return [Problem(rule: .convergence, node: down.index, words: "the node does not run")]
        }
        openWatchers()
        let first = nodes[0].disk.vector
        for node in nodes where node.disk.vector != first {
            questions = []
            return [
                Problem(
                    rule: .convergence, node: node.index,
                    words: "has \(node.disk.vector.components), node 0 has \(first.components)")
            ]
        }
        for node in nodes where node.disk.shared != nil && node.core.replicator.applied != first {
            questions = []
            return [
                Problem(
                    rule: .convergence, node: node.index,
                    words: "has applied \(node.core.replicator.applied.components) of \(first.components)")
            ]
        }
        guard questions.count == nodes.count * scenario.rooms, askedAt == first else {
            askAll()
            askedAt = first
            isAsking = true
            return []
        }
        isAsking = false
        var problems: [Problem] = []
        if !ledger.forked.isEmpty, let reader = try? nodes[0].disk.store.openReader() {
            for dot in first.components {
                if let hash = try? reader.hash(of: dot) { ledger.settle(LogEnd(dot: dot, hash: hash)) }
            }
        }
        for question in questions { problems += check(question) }
        problems += checkDigests(at: first)
        problems += checkFarClocks()
        problems += checkHistory()
        problems += checkAnswers()
        problems += checkClients()
        problems += checkLibraryClients()
        if !problems.isEmpty { questions = [] }
        return problems
    }

    /// What `converge status` compares: the documents in memory, kept up to date change by change.
    private func checkDigests(at vector: VersionVector) -> [Problem] {
        let level = nodes.filter { $0.core.replicator.applied == vector }
        return level.dropFirst().filter { $0.core.documents.digest != level[0].core.documents.digest }.map {
            Problem(
                rule: .documents, node: $0.index,
                words: "its documents have another digest than those of node \(level[0].index)"
                    + differing($0.disk, level[0].disk))
        }
    }

    /// The first document in which two disks differ: what is in memory may differ though they don't.
    private func differing(_ one: Disk, _ other: Disk) -> String {
        let (here, there) = (one.store.state.documents, other.store.state.documents)
        guard let document = here.first(where: { !there.contains($0) }) ?? there.first(where: { !here.contains($0) })
        else { return ", and the disks don't differ" }
        let copies = [here, there].map { $0.first { $0.id == document.id }.map(StateChecks.cells) ?? "nothing" }
        return ": \(document.id.kind) \(document.id.name) of \(document.id.room) is \(copies[0]), there \(copies[1])"
    }

    // MARK: Questions

    /// One session on every node in every room, of one user: they ask, and are present themselves.
    private func openWatchers() {
        for node in nodes {
            for room in 0..<scenario.rooms {
                let index = node.index * scenario.rooms + room
                if watchers.count <= index {
                    watchers.append(Client(index: clients.count, user: "watch", room: roomNames[room]))
                    clients.append(watchers[index])
                }
                let watcher = watchers[index]
                if watcher.connection?.isReadable != true { open(watcher, at: node) }
            }
        }
    }

    /// What one node is asked about one room, and what it says.
    struct Question {
        let node: Int
        let room: Text
        /// In the order in which they were asked.
        var refs: [String]
    }

    private func askAll() {
        questions = []
        for watcher in watchers {
            guard let connection = watcher.connection else { continue }
            var question = Question(node: connection.node, room: watcher.room, refs: [])
            var commands: [ClientCommand] = [
                .users(UsersCommand(room: watcher.room, detail: true)), .rooms(RoomsCommand()),
            ]
            for document in documentNames {
                commands += [
                    .read(.init(.orSet, doc: document)), .read(.init(.register, doc: document)),
                    .read(.init(.counter, doc: document)), .read(.init(.map, doc: document)),
                ]
            }
            for command in commands {
                let ref = newRef(watcher, .init(deed: .ask, room: watcher.room, sentAt: now))
                question.refs.append(ref)
                send(command, ref: ref, watcher, connection)
            }
            questions.append(question)
        }
        resumeEverywhere()
    }

    private func check(_ question: Question) -> [Problem] {
        let frames = question.refs.map { answers[$0] }
        var problems: [Problem] = []
        func wrong(_ rule: Violation.Rule, _ words: String) {
            problems.append(Problem(rule: rule, node: question.node, words: words))
        }
        guard !frames.contains(where: { $0 == nil }) else {
            wrong(.answers, "no answers about \(question.room)")
            return problems
        }
        let present = presence(in: question.room)
        if frames[0]?.users != present.map(\.user) {
            wrong(.presence, "users of \(question.room): \(frames[0]?.users ?? []), not \(present.map(\.user))")
        } else if let members = frames[0]?.members {
            for (member, expected) in zip(members, present)
            where member.sessions != expected.sessions || member.nodes.count != expected.nodes {
                wrong(
                    .presence,
                    "\(expected.user) in \(question.room) has \(member.sessions) sessions on \(member.nodes.count) "
                        + "nodes, not \(expected.sessions) on \(expected.nodes)")
            }
        }
        let rooms = roomNames.filter { !presence(in: $0).isEmpty }.map(\.string).sorted()
        if frames[1]?.rooms != rooms { wrong(.presence, "rooms: \(frames[1]?.rooms ?? []), not \(rooms)") }
        problems += checkDocuments(question, frames)
        return problems
    }

    private func checkDocuments(_ question: Question, _ frames: [ShownFrame?]) -> [Problem] {
        let reference = DocumentsReference(ledger, within: nodes[question.node].disk.vector)
        var problems: [Problem] = []
        for (index, name) in documentNames.enumerated() {
            let set = reference.elements(of: DocumentID(room: question.room, kind: .orSet, name: name)).map(\.string)
            let shown = frames[2 + index * 4]?.items ?? []
            // A remove that saw the side of a fork that was lost meant other dots; and of what was moved to another log
            // the reference knows less of the past than its writer did.
            if shown != set, ledger.forked.isEmpty, counts.reloads == 0 {
                problems.append(
                    Problem(
                        rule: .documents, node: question.node,
                        words: "set \(name) of \(question.room): \(shown), not \(set)"))
            }
            let value = reference.value(of: DocumentID(room: question.room, kind: .register, name: name))?.string ?? ""
            let held = frames[3 + index * 4]?.body ?? "nothing"
            if held != value {
                problems.append(
                    Problem(
                        rule: .documents, node: question.node,
                        words: "register \(name) of \(question.room): \(held), not \(value)"))
            }
            let count = reference.count(of: DocumentID(room: question.room, kind: .counter, name: name))
            let counted = frames[4 + index * 4]?.value ?? 0
            if counted != count {
                problems.append(
                    Problem(
                        rule: .documents, node: question.node,
                        words: "counter \(name) of \(question.room): \(counted), not \(count)"))
            }
            let fields = reference.fields(of: DocumentID(room: question.room, kind: .map, name: name))
            let told = frames[5 + index * 4]?.fields ?? [:]
            // As of sets.
            if told != fields, ledger.forked.isEmpty, counts.reloads == 0 {
                problems.append(
                    Problem(
                        rule: .documents, node: question.node,
                        words: "map \(name) of \(question.room): \(told), not \(fields)"))
            }
        }
        for (dot, amount) in verdict.amounts where !ledger.forked.contains(where: { $0.replica == dot.replica }) {
            guard let entry = ledger[dot]?.entry,
                case .document(let payload) = entry.meaning, payload.delta.operation == .increment,
                payload.delta.amount != Int64(amount)
            else { continue }
            let words = "\(dot) counts \(payload.delta.amount), asked was \(amount)"
            problems.append(Problem(rule: .documents, node: -1, words: words))
        }
        return problems
    }

    /// Who is truly in a room: sessions that live, as their nodes know them. Sorted by user.
    private func presence(in room: Text) -> [(user: String, sessions: Int, nodes: Int)] {
        var counts: [String: (sessions: Int, nodes: Set<Int>)] = [:]
        for connection in connections where connection.isOpen && connection.isSeen(in: room) {
            let user = clients[connection.client].user.string
            counts[user, default: (0, [])].sessions += 1
            counts[user]!.nodes.insert(connection.node)
        }
        return counts.keys.sorted().map { ($0, counts[$0]!.sessions, counts[$0]!.nodes.count) }
    }

    // MARK: History

    private func checkHistory() -> [Problem] {
        var problems: [Problem] = []
        func wrong(_ rule: Violation.Rule, _ node: Int, _ words: String) {
            problems.append(Problem(rule: rule, node: node, words: words))
        }
        // Below this some nodes may have dropped what others still have.
        let newest = nodes.map { $0.clock.wall(at: now) }.max() ?? 0
        let isWild = scenario.faults[.clockJump] > 0 || scenario.faults[.clockDrift] > 0
        let cutoff = scenario.retention == 0 ? 0 : newest - scenario.retention + (isWild ? 90_000 : 3_000)
        for room in roomNames.prefix(scenario.rooms) {
            var first: [Entry]?
            for node in nodes {
                guard let reader = try? node.disk.store.openReader(),
                    let all = try? reader.history(room: room, before: nil, limit: 1_000_000)
                else {
                    wrong(.history, node.index, "can't be read")
                    continue
                }
                let entries = all.filter {
                    $0.timestamp.milliseconds >= cutoff && !($0.kind == .message && ledger.isErasedInPart($0.dot))
                }
                if let first, first != entries {
                    let other = first.first { !entries.contains($0) } ?? entries.first { !first.contains($0) }
                    wrong(
                        .history, node.index,
                        "\(room) has \(entries.count) entries, \(first.count) on node 0"
                            + (other.map { "; \($0.dot) is in one of them" } ?? "; in another order"))
                }
                first = first ?? entries
            }
            for node in nodes { checkUnknown(room, node, cutoff) { wrong(.history, node.index, $0) } }
            guard let history = first else { continue }
            checkMessages(history, room, cutoff) { wrong($0, 0, $1) }
            checkAttendance(history, room) { wrong($0, 0, $1) }
        }
        return problems
    }

    /// What must be in a room's history: every message once, the earliest of those with one key.
    private func checkMessages(
        _ history: [Entry], _ room: Text, _ cutoff: UInt64, _ wrong: (Violation.Rule, String) -> Void
    ) {
        var times: [String: Int] = [:]
        for entry in history where entry.kind == .message {
            guard let payload = entry.payload.withUnsafeBytes({ try? MessagePayload(decoding: $0) }) else { continue }
            times[String(decoding: payload.body, as: UTF8.self), default: 0] += 1
        }
        for ack in verdict.acknowledged where ack.room == room && ack.position.timestamp.milliseconds >= cutoff {
            let count = times[ack.body] ?? 0
            if count == 1 { continue }
            if count == 0, ledger.diedBodies.contains(ack.body) || ledger.redacted.contains(ack.position.dot) {
                continue
            }
            if count == 0, ledger.redactedBodies.contains(ack.body) { continue }
            wrong(.acknowledged, "\(ack.body) (\(ack.position.dot)) is \(count) times in \(room)")
        }
        for refused in verdict.refusedBodies where refused.room == room && times[refused.body] != nil {
            wrong(.answers, "\(refused.body) was refused and is in \(room)")
        }
        for (body, count) in times.sorted(by: { $0.key < $1.key }) where count > 1 {
            wrong(.keys, "\(body) is \(count) times in \(room)")
        }
        guard ledger.forked.isEmpty else { return }
        let shown = Set(history.map(\.dot))
        for replica in ledger.replicas {
            let head = nodes[0].disk.vector[replica]
            for record in ledger.shown(room, replica, after: 0, through: head)
            where record.entry.timestamp.milliseconds >= cutoff && !shown.contains(record.entry.dot) {
                wrong(.history, "\(record.entry.dot) is in the log and not in the history of \(room)")
            }
        }
    }

    /// What no build here knows is kept nevertheless.
    private func checkUnknown(_ room: Text, _ node: SimulatedNode, _ cutoff: UInt64, _ wrong: (String) -> Void) {
        guard ledger.forked.isEmpty, !ledger.unknown.isEmpty, let reader = try? node.disk.store.openReader(),
            let all = try? reader.entries(room: room, after: VersionVector(), limit: 1_000_000)
        else { return }
        let kept = Set(all.entries.lazy.filter { !$0.kind.isKnown }.map(\.dot))
        for dot in ledger.unknown where node.disk.vector.covers(dot) && !kept.contains(dot) {
            guard let entry = ledger[dot]?.entry, entry.room == room, entry.timestamp.milliseconds >= cutoff else {
                continue
            }
            wrong("\(dot), of a kind that nobody knows, is not in \(room)")
        }
    }

    /// Joined and left take turns, and end as who is there.
    private func checkAttendance(_ history: [Entry], _ room: Text, _ wrong: (Violation.Rule, String) -> Void) {
        var there: [Text: Bool] = [:]
        for entry in history where entry.kind == .system {
            guard let payload = entry.payload.withUnsafeBytes({ try? SystemPayload(decoding: $0) }) else { continue }
            let joins = payload.event == .joined
            if there[payload.user] == joins || (there[payload.user] == nil && !joins && scenario.retention == 0) {
                wrong(.attendance, "\(payload.user) \(joins ? "joined" : "left") \(room) twice, by \(entry.dot)")
            }
            there[payload.user] = joins
        }
        guard scenario.retention == 0 else { return }
        let present = presence(in: room).map(\.user)
        let last = there.filter(\.value).map(\.key.string).sorted()
        if last != present { wrong(.attendance, "history of \(room) ends with \(last), there are \(present)") }
    }

    /// Whoever asked and is still connected has been answered.
    private func checkAnswers() -> [Problem] {
        clients.flatMap { client in
            client.pending.filter { $0.value.sentAt + .seconds(5) < now && !$0.value.mayEnd }.keys.sorted().map {
                Problem(
                    rule: .answers, node: client.connection?.node ?? -1,
                    words: "client \(client.index) was never answered to \($0)")
            }
        }
    }
}

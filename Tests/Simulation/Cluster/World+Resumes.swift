import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// Resumes and pages, as they are seen where they leave a node: what they show and name, held against the ledger.
extension World {
    func tell(_ what: StaticString, _ connection: Connection, _ node: SimulatedNode, _ number: UInt64, _ words: String)
    {
        trace.note(now, node.index, what, UInt64(connection.client), number, words)
    }

    func notePage(
        _ page: Feed.Page, _ decision: Feed.PageDecision, _ room: Text, _ connection: Connection, _ node: SimulatedNode
    ) {
        trace.note(
            now, node.index, "page", UInt64(connection.client), 0,
            "for client \(connection.client) in \(room) to \(page.reached.components)"
                + "\(page.isLevel ? ", level" : "")\(decision == .ignore ? ", too late" : "")"
                + (decision == .lost ? ", some is gone" : ""))
        if decision != .ignore, decision != .lost { counts.pages += 1 }
    }

    func noteResumed(
        _ room: Text, _ connection: Connection, _ node: SimulatedNode, recovered: Bool, cursor: VersionVector,
        ref: Text?
    ) {
        counts.resumes += 1
        if !recovered { counts.resumesNotRecovered += 1 }
        trace.note(
            now, node.index, "resumed", UInt64(connection.client), recovered ? 1 : 0,
            "client \(connection.client) \(ref?.string ?? "-") in \(room) to \(cursor.components)"
                + (recovered ? "" : ", not recovered"))
    }

    /// The end of a resume names every document that was changed beyond its cursor and was not shown live.
    func checkNamed(_ feed: Feed, _ stay: Stay, _ connection: Connection, _ node: SimulatedNode) {
        guard let watch = stay.resuming, feed.recovered, !ledger.isForked(within: feed.cursor) else { return }
        let named = Set(feed.changedDocuments)
        for end in feed.cursor.components where end.seq > watch.given[end.replica] {
            for record in ledger.records(of: end.replica).prefix(Int(end.seq))
                .dropFirst(Int(watch.given[end.replica]))
            {
                let entry = record.entry
                // What a failover took is gone from the document, too.
                guard entry.kind == .document, entry.namespace == 0, entry.room == stay.room,
                    !mayComeBack(entry.dot), feed.shown?.covers(entry.dot) != true,
                    let payload = entry.payload.withUnsafeBytes({ try? DocumentPayload(decoding: $0) }),
                    !named.contains(payload.name)
                else { continue }
                violate(
                    .resume, node.index,
                    "\(entry.dot) changed \(payload.name), which is not named (client \(connection.client) in "
                        + "\(stay.room))")
            }
        }
    }

    /// A page of a resume has what its cursor does not cover and the session was not shown, each entry once and in order.
    func checkPage(_ frame: ShownFrame, _ connection: Connection, _ node: SimulatedNode) {
        guard let stay = connection.stays[Text(frame.room)] else {
            violate(.wrongFrame, node.index, "a page of \(frame.room), where client \(connection.client) is not")
            return
        }
        guard let watch = stay.resuming else { return }
        func wrong(_ words: String) {
            violate(.resume, node.index, "\(words) (client \(connection.client) in \(stay.room))")
        }
        var last: Position?
        for entry in frame.history ?? [] {
            guard let dot = entry.dot, let position = entry.position else {
                wrong("an entry without a place")
                return
            }
            check(entry, shows: dot, node)
            if let last, position <= last { wrong("\(dot) stands behind \(last.dot)") }
            last = position
            if watch.given.covers(dot) { wrong("\(dot) is on a page, and the cursor covers it") }
            // Which of very many system events were not shown is not remembered: all of those may come again.
            let mayComeAgain =
                entry.type == "system" && watch.feed.shown?.unsure.covers(dot) ?? false
                || watch.doubted.contains(dot.replica)
            if stay.shownLive.contains(dot), !mayComeAgain {
                wrong("\(dot) is on a page, and was shown live")
            }
            if !watch.paged.insert(dot).inserted { wrong("\(dot) is on two pages") }
            connection.everShown[stay.room, default: []].insert(dot)
        }
    }
}

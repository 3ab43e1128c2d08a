import ConvergeCRDT

/// What a reader has read for a session and the core has not handed out yet, in part: others write into the store, too, or a
/// commit is stored there whose answer is on its way.
struct ReadAhead: Sendable {
    /// What was asked.
    let request: ReadRequest
    /// The answer, for the loop of this session.
    let session: SessionID
    let answer: LoopMessage
    /// The entries in it.
    let needs: VersionVector
}

/// Answers that wait until the node has come as far as they show.
///
/// The invariant: nothing is shown from the store beyond what this node has handed out. Otherwise its clock would not know
/// what a client has read, and an answer would stand before its question; its documents would be without a change that a
/// page names; and who goes on live from where the node is would be shown entries of the page again.
///
/// The store is asked at once what is new there, so this takes some milliseconds. Where the node can't come that far, because
/// it can't write, the question is asked again within what it has; that may leave something out, and says so.
struct ReadsAhead {
    /// Milliseconds that an answer waits.
    static let patience: UInt64 = 2_000

    private var waiting: [(read: ReadAhead, until: UInt64)] = []

    /// How many wait. One page and 32 histories a session at most.
    var count: Int { waiting.count }

    mutating func wait(for read: ReadAhead, at now: UInt64) {
        waiting.append((read, now + Self.patience))
    }

    /// Those that can be shown now, and those that have waited too long, in the order in which they came.
    mutating func take(at position: VersionVector, now: UInt64) -> (due: [ReadAhead], late: [ReadAhead]) {
        var due: [ReadAhead] = []
        var late: [ReadAhead] = []
        waiting.removeAll { (read, until) in
            if position.covers(read.needs) {
                due.append(read)
            } else if now >= until {
                late.append(read)
            } else {
                return false
            }
            return true
        }
        return (due, late)
    }
}

extension NodeCore {
    mutating func readAhead(_ read: ReadAhead, into effects: inout [CoreEffect]) {
        counters.readsAhead &+= 1
        if position.covers(read.needs) {
            // It has come that far while this was read.
            deliverReady(into: &effects)
            pass(read, into: &effects)
        } else {
            readsAhead.wait(for: read, at: monotonic)
            shared.hurry()
            lookIntoSharedStore(into: &effects)
        }
    }

    /// Passes on what waits and has been handed out by now. What was handed out stands before it among the effects.
    mutating func passReads(into effects: inout [CoreEffect]) {
        guard readsAhead.count > 0 else { return }
        let (due, late) = readsAhead.take(at: position, now: monotonic)
        for read in due { pass(read, into: &effects) }
        for read in late {
            switch read.request {
            case .history(var page):
                page.position = position
                page.isBounded = true
                effects.append(.read(.history(page)))
            case .feed(let session, var question, let room, let limit) where question.purpose == .resume:
                question.position = position
                question.isBounded = true
                effects.append(.read(.feed(session, question, room: room, limit: limit)))
            case .feed(let session, let question, _, _):
                // Who is live may as well wait: nothing must be left out.
                effects.append(.pass(.feedFailed(session, ask: question.number), to: session))
            default: break
            }
        }
    }

    private mutating func pass(_ read: ReadAhead, into effects: inout [CoreEffect]) {
        effects.append(.pass(read.answer, to: read.session))
        if case .history = read.request { historyAnswered(read.session) }
    }
}

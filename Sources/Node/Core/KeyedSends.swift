import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

/// Makes a send with a key one message, however often it is repeated.
///
/// A key is looked up in the store before its message gets a place, so a session whose send waits for that must wait with
/// everything it sent after it: its commands are kept in order here. A repeat of a send that is placed but not committed
/// is answered when that is.
///
/// An id is in at most one of two states: asked for, or placed. It can become stored only from placed, and only after its
/// own look-up, so a look-up's answer is never out of date when it comes.
///
/// Others may write into the store, too. What a look-up finds there and this node has not applied is not told before it is:
/// its clock does not know that message yet, and what its sender writes next would stand before it.
struct KeyedSends {
    /// How many commands one session may have waiting behind a look-up.
    static let backlog = 1_024

    struct Repeat {
        let session: SessionID
        let ref: Text?
        let copies: Int?
    }

    private var asked: [MessageID: [SessionID]] = [:]
    private var placed: [MessageID: [Repeat]] = [:]
    private var blocked: [SessionID: [SessionEvent]] = [:]
    /// Ids that are asked for and were found where this node has not come yet; not waited for beyond `until`.
    private var ahead: [(id: MessageID, position: Position, until: UInt64)] = []
    /// Ids to ask the store for at the end of this turn.
    private var wanted: [MessageID] = []

    /// Sessions that wait for a look-up.
    var waiting: Int { blocked.count }
    /// Commands that are kept in here: behind look-ups, and repeats of what is placed.
    private(set) var held = 0

    func isBlocked(_ session: SessionID) -> Bool { blocked[session] != nil }
    func isPlaced(_ id: MessageID) -> Bool { placed[id] != nil }

    /// Blocks the session behind the look-up of `id`; `event` comes back first when the answer is there.
    mutating func ask(for id: MessageID, _ session: SessionID, _ event: SessionEvent) {
        blocked[session] = [event]
        held += 1
        if asked[id] == nil { wanted.append(id) }
        asked[id, default: []].append(session)
    }

    /// Keeps an event of a blocked session; false where too many commands wait already.
    mutating func hold(_ event: SessionEvent, of session: SessionID) -> Bool {
        if case .command = event, blocked[session]!.count >= Self.backlog { return false }
        blocked[session]!.append(event)
        held += 1
        return true
    }

    mutating func takeWanted() -> [MessageID] {
        defer { wanted = [] }
        return wanted
    }

    /// The sessions that waited for `id`, in the order in which they came, with what they have waiting.
    mutating func answered(_ id: MessageID) -> [(session: SessionID, events: [SessionEvent])] {
        (asked.removeValue(forKey: id) ?? []).map { session in
            let events = blocked.removeValue(forKey: session) ?? []
            held -= events.count
            return (session, events)
        }
    }

    /// Puts back what a session still has waiting when it blocks again while its events are being gone through.
    mutating func holdAgain(_ events: ArraySlice<SessionEvent>, of session: SessionID) {
        blocked[session]!.append(contentsOf: events)
        held += events.count
    }

    /// How many ids wait to be applied.
    var aheadCount: Int { ahead.count }

    /// Keeps the answer of a look-up until what it found is applied.
    mutating func wait(for id: MessageID, at position: Position, until: UInt64) {
        ahead.append((id, position, until))
    }

    /// The kept answers that are due: with a position where that is applied now, with nil where it is not in time.
    mutating func takeDue(applied: VersionVector, at now: UInt64, givingUp: Bool) -> [(id: MessageID, Position?)] {
        var due: [(id: MessageID, Position?)] = []
        ahead.removeAll { found in
            if applied.covers(found.position.dot) {
                due.append((found.id, found.position))
            } else if givingUp || now >= found.until {
                due.append((found.id, nil))
            } else {
                return false
            }
            return true
        }
        return due
    }

    mutating func place(_ id: MessageID) { placed[id] = [] }

    /// Keeps a repeat of a placed send until that is stored, or has failed.
    mutating func wait(for id: MessageID, _ session: SessionID, ref: Text?, copies: Int?) {
        placed[id]!.append(Repeat(session: session, ref: ref, copies: copies))
        held += 1
    }

    /// The placed send is stored, or has failed: who repeated it meanwhile.
    mutating func takeRepeats(of id: MessageID) -> [Repeat] {
        let repeats = placed.removeValue(forKey: id) ?? []
        held -= repeats.count
        return repeats
    }
}

import ConvergeCRDT
import ConvergeWire

/// What a client has been shown of one room over its life, its cursor there, and whether that is what it is owed.
///
/// The cursor is kept as docs/protocol.md says: live frames advance it, where the client knows since when it is in the room
/// and is not resuming; pages of a resume and its end bring a new one; nothing else changes it. The promise that is checked:
/// of all messages and system events of the room that the cursor covers, and that were not there already when the client
/// began, each has been shown, by its id; and none comes again that the cursor covers.
struct RoomView {
    private(set) var cursor: VersionVector
    /// What the client is not owed: what was there when it began, and all that it was told may be missing.
    private(set) var origin: VersionVector
    private var ids: Set<String> = []
    private var dots: Set<Dot> = []
    /// Shown while the cursor could not take it up: these may come once more.
    private var loose: Set<Dot> = []
    /// Resumes that are not answered, the oldest first; the one in the URL has no ref.
    private(set) var asked: [(ref: String?, order: Int, isUsable: Bool, isRaced: Bool)] = []
    /// It began somewhere: before that there is nothing to resume from.
    private(set) var hasBegun: Bool
    private var checked: VersionVector
    /// It was told by the end of a resume that it has all up to its cursor: so it is owed what comes behind that.
    private var isExact = false

    /// Nothing is known yet but what comes by.
    init() {
        cursor = VersionVector()
        origin = VersionVector()
        checked = VersionVector()
        hasBegun = false
    }

    var isResuming: Bool { !asked.isEmpty }

    // MARK: Asking

    /// - Parameter isUsable: the cursor that is given can be read.
    mutating func ask(_ ref: String?, order: Int, isUsable: Bool = true) {
        let isRaced = isResuming
        for at in asked.indices { asked[at].isRaced = true }
        asked.append((ref, order, isUsable, isRaced))
    }

    /// It begins anew at a cursor: what was shown before may come again.
    mutating func begin(at cursor: VersionVector) {
        self.cursor = cursor
        origin = cursor
        checked = cursor
        loose = dots
        hasBegun = true
        isExact = false
    }

    /// Everything of the room is wanted, whatever was shown before.
    mutating func askForAll() {
        begin(at: VersionVector())
    }

    /// Whether the end of the resume with this ref is waited for.
    func isAsked(_ ref: String) -> Bool { asked.contains { $0.ref == ref } }

    /// Its node says where it stands.
    mutating func told(_ cursor: VersionVector) { self.cursor.merge(cursor) }

    /// A resume was refused.
    mutating func refused(_ ref: String) { asked.removeAll { $0.ref == ref } }

    /// What was asked before this is over: it was replaced, or the stay in the room has ended.
    mutating func endResumes(before order: Int = .max) { asked.removeAll { $0.order < order } }

    /// What was there before its node had opened the store came before it, and will not come live.
    mutating func excuse(_ vector: VersionVector) { if !isExact { origin.merge(vector) } }

    // MARK: Frames

    /// A live frame of the room; what is wrong with it, if anything.
    /// - Parameter isAnchored: the client knows since when it is in the room.
    mutating func live(_ frame: ShownFrame, isAnchored: Bool) -> String? {
        guard let dot = frame.dot else { return nil }
        let advances = isAnchored && !isResuming
        if frame.isHistory {
            if cursor.covers(dot) {
                // Before it has resumed a node can't know what it has seen elsewhere.
                dots.insert(dot)
                ids.insert(frame.id)
                return advances ? "\(dot) is shown again, and the cursor covers it" : nil
            }
            if let wrong = show(frame, dot) { return wrong }
            if !advances { loose.insert(dot) }
        }
        if advances { cursor.advance(to: dot) }
        return nil
    }

    /// A page of a resume.
    mutating func page(_ frame: ShownFrame) -> String? {
        guard let reached = frame.cursor else { return "a page without a cursor" }
        guard isResuming else {
            // It said that it is one, so its cursor counts.
            cursor.merge(reached)
            return nil
        }
        takeBack(frame.begunAnew)
        for entry in frame.history ?? [] {
            guard let dot = entry.dot else { return "an entry without a place" }
            if cursor.covers(dot) {
                // A second resume begins where the client was when it asked.
                if asked.contains(where: \.isRaced) { continue }
                return "\(dot) is shown again, and the cursor covers it"
            }
            if let wrong = show(entry, dot) { return wrong }
        }
        cursor.merge(reached)
        if frame.recovered == false { origin.merge(reached) }
        return nil
    }

    /// The end of a resume: of the one with this ref, and of all that it has replaced.
    /// - Parameter before: what the node's disk had when it was opened, where the client was connected before.
    mutating func resumed(_ frame: ShownFrame, before: VersionVector) -> String? {
        guard let reached = frame.cursor, let recovered = frame.recovered else { return "resumed without a cursor" }
        guard let at = asked.firstIndex(where: { $0.ref == frame.ref }) else { return "resumed, and nobody asked" }
        let isUsable = asked[at].isUsable
        asked.removeFirst(at + 1)
        if isUsable {
            takeBack(frame.begunAnew)
            cursor.merge(reached)
            if !recovered { origin.merge(reached) }
            isExact = true
        } else if !isResuming {
            // It begins anew from here.
            if recovered { return "recovered from no cursor" }
            begin(at: reached)
            excuse(before)
        }
        return nil
    }

    /// A node whose own log ended before the cursor, when it was given that, shows all of that log.
    private mutating func takeBack(_ logs: Set<ReplicaID>) {
        for log in logs {
            cursor[log] = 0
            loose.formUnion(dots.filter { $0.replica == log })
        }
    }

    private mutating func show(_ frame: ShownFrame, _ dot: Dot) -> String? {
        let isNew = dots.insert(dot).inserted
        ids.insert(frame.id)
        return isNew || loose.contains(dot) ? nil : "\(dot) is shown twice"
    }

    // MARK: What is owed

    /// What is missing of what the cursor covers, if anything is.
    mutating func missing(in room: Text, _ ledger: Ledger) -> String? {
        guard !ledger.isForked(within: cursor) else { return nil }
        defer { checked = cursor }
        return missing(in: room, ledger, after: checked, through: cursor)
    }

    /// What is missing of all that the vector covers.
    func missing(in room: Text, _ ledger: Ledger, through vector: VersionVector) -> String? {
        guard !ledger.isForked(within: vector) else { return nil }
        return missing(in: room, ledger, after: VersionVector(), through: vector)
    }

    private func missing(
        in room: Text, _ ledger: Ledger, after: VersionVector, through vector: VersionVector
    ) -> String? {
        ledger.firstUnshown(in: room, after: after, through: vector, origin: origin, shown: ids).map {
            "\($0), which its cursor covers, was never shown"
        }
    }
}

/// Whether a client knows since when it is in a room: from `welcome`, `joined` and `resumed`, as long as it has not moved
/// in a way that is not answered.
struct Anchor {
    var room: Text?
    /// The room that it has last asked to be in; nil where it is not known whether it is there.
    var expected: Text?
    /// Counts moves that nobody answers.
    var moves = 0
}

extension ShownFrame {
    /// It is of those that history has.
    var isHistory: Bool { type == "message" || type == "system" }
}

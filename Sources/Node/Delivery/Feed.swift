import ConvergeCRDT
import ConvergeGossip
import ConvergeWire

/// Where one session stands in its room's frames while it does not simply get them live: a slow client that is fed from
/// the store, and a client that resumes.
///
/// It decides what is asked of the store, and which live frame is shown, waits or is not for this session; who runs it
/// keeps the bytes. It knows no socket and no clock.
///
/// The invariant: of what the room shows beyond the cursor that the feed began with, every frame is shown exactly once,
/// either on a page or live. It rests on this: the store sees all that has been handed out live when it is asked; pages are
/// asked for until one has all there was (it is *level*); live frames that come while a page is read are held; and of those,
/// and all later ones, only what the level does not cover is shown. A level may be ahead of what has been handed out live (of
/// other rooms' entries, and where a client has seen more on another node), so it stays as a filter until the live frames
/// are past it. What a page shows of the room has been handed out live when the page comes here (`ReadsAhead`): so a session
/// that goes on from where the live frames are, in another stay or another way, is shown nothing twice.
///
/// Two things of a cursor would hide what nobody has shown, so they are not taken at its word. While the node does not know
/// what it has (its store was never open) a resume waits. And what a cursor says of the node's own log, beyond that log's
/// end, nobody can have been shown: the disk was set back, or it is made up; so nothing of that log is hidden by it, and the
/// resume is not complete.
struct Feed: Sendable {
    enum Purpose: Hashable, Sendable {
        /// A slow client: gets every frame of the room that it has not been sent.
        case catchUp
        /// A client that asked for it: gets the history that its cursor does not cover.
        case resume
    }

    /// What the session had been shown live, in this stay in its room, before it resumed: not to be shown again.
    struct Shown: Hashable, Sendable {
        var after: VersionVector
        var through: VersionVector
        /// What came in between and was not shown, nor anything with its id.
        private(set) var unshown: [Dot] = []
        /// Of system events up to here that is not known any more: they are shown, maybe again.
        private(set) var unsure = VersionVector()

        func covers(_ dot: Dot) -> Bool { isWithin(dot) && !unshown.contains(dot) }

        private func isWithin(_ dot: Dot) -> Bool { through.covers(dot) && !after.covers(dot) }

        /// Of this log what was shown live up to there is shown again: the client has dropped it, since its cursor covers it.
        fileprivate mutating func showAgain(through dot: Dot) {
            after.advance(to: Dot(replica: dot.replica, seq: min(dot.seq, through[dot.replica])))
        }

        /// The cursor, and what was shown live where that went on from the cursor without a gap.
        fileprivate func extending(_ cursor: VersionVector) -> VersionVector {
            var extended = cursor
            for dot in through.components where cursor[dot.replica] >= after[dot.replica] { extended.advance(to: dot) }
            return extended
        }

        /// - Parameters:
        ///   - entered: what had been handed out live when the session came into its room, or the cursor with which it had
        ///     resumed there since.
        ///   - position: what has been handed out live by now.
        ///   - feed: the feed that the session has now, if it has one.
        ///   - cursor: what the client says that it has been shown.
        ///   - events: of the room, what was not shown.
        init(
            since entered: VersionVector, position: VersionVector, feed: Feed?,
            cursor: VersionVector = VersionVector(), unshown events: UnshownEvents = UnshownEvents(),
            planted: PlantedFaults = []
        ) {
            after = planted.has(.oneCursorForAllRooms) ? VersionVector() : entered
            through = position
            if let feed {
                if feed.isResuming, let shown = feed.shown {
                    self = shown
                } else {
                    through = feed.standing(at: position)
                }
            }
            let (from, to) = (after, through)
            unshown = events.events.filter { event in
                let wasShown = event.twin.map { cursor.covers($0) || to.covers($0) && !from.covers($0) } ?? false
                return to.covers(event.dot) && !from.covers(event.dot) && !wasShown
            }.map(\.dot)
            unsure = events.forgotten
        }
    }

    /// One page that is wanted of the store.
    struct Question: Hashable, Sendable {
        /// Tells the answer that is waited for from a late one.
        var number: UInt64
        var purpose: Purpose
        var cursor: VersionVector
        var shown: Shown?
        /// Nothing is known to be missing so far.
        var recovered = true
        /// A resume names the documents that entries beyond this affected.
        var origin = VersionVector()
        /// What had been handed out live when it was asked.
        var position: VersionVector
        /// Nothing beyond `position` is read.
        var isBounded = false

        /// Whether an entry that the cursor does not cover is for this session.
        func wants(_ dot: Dot, isSystem: Bool = false) -> Bool {
            shown.map { !$0.covers(dot) || isSystem && $0.unsure.covers(dot) } ?? true
        }
    }

    /// What the store answered, without the frames.
    struct Page: Hashable, Sendable {
        /// What the session has been shown with this page: the question's cursor and more.
        var reached: VersionVector
        /// There was no more when the store looked.
        var isLevel: Bool
        /// The entries that were read for it, and what the named documents have: it is shown when that has been handed out.
        var needs = VersionVector()
        /// It leaves out what the store has beyond the question's `position`, and what that replaces.
        var isCut = false
        /// `StoreReader.horizon`, asked for after the page was read.
        var horizon = VersionVector()
        /// Where a resume is level: the names of the documents that the entries beyond its origin affected.
        var documents: [Text] = []
        /// There are more of those than are named.
        var hasMoreDocuments = false
    }

    enum LiveDecision: Hashable, Sendable {
        /// It is for the session, now.
        case show
        /// It waits for the page that is being read: the next of `held`.
        case hold
        /// The session has it, or will have it from a page.
        case skip
        /// Nothing is missing and nothing is filtered any more: from this frame on the session is live again.
        case rejoin
    }

    enum PageDecision: Hashable, Sendable {
        /// Nobody waits for this page.
        case ignore
        /// Show the page, keep of the held frames those with these numbers, and ask for the next.
        case more(held: [Int])
        /// Show the page, then that the resume is over, where it was one, then those of the held frames; what comes from now
        /// on is decided frame by frame.
        case level(show: [Int])
        /// Retention has dropped what a slow client had not been sent. Nothing of the page is for it, and its connection ends:
        /// what it has been shown stays without a gap, so a resume from there says what is missing.
        case lost
    }

    /// The most documents that a resume names; where there are more, it says that it is not complete.
    static let documentLimit = 1_000

    private(set) var purpose: Purpose
    /// What the session has been shown, or says that it has been.
    private(set) var cursor: VersionVector
    private(set) var shown: Shown?
    /// All pages are there: what `cursor` covers is filtered from the live frames.
    private(set) var isLevel = false
    /// The page that is being read; 0 for none.
    private(set) var asked: UInt64 = 0
    /// What live frames are held, in order; nil for one that shows no entry, which no page can have.
    private(set) var held: [Dot?] = []
    /// Held frames have been given up, so the page that is being read can't be the last.
    private(set) var overflowed = false
    /// Everything beyond the cursor that a resume began with could be read.
    private(set) var recovered = true
    /// What entries up to here did to documents a resume need not name.
    private var origin: VersionVector
    /// It is not known yet what the node has: no page is asked for before `begin`.
    private var waits = false
    /// The documents to be asked for again after a resume, sorted.
    private(set) var changedDocuments: [Text] = []

    /// A session that is off the live stream, sent what `cursor` covers.
    init(catchingUpFrom cursor: VersionVector) {
        purpose = .catchUp
        self.cursor = cursor
        origin = cursor
    }

    /// - Parameter own: the end of this node's own log; nil while its store was never open.
    init(resumingFrom cursor: VersionVector, shown: Shown, own: Dot?) {
        purpose = .resume
        self.cursor = cursor
        self.shown = shown
        origin = VersionVector()
        waits = own == nil
        judge(own)
    }

    /// Takes the cursor for what it can be.
    private mutating func judge(_ own: Dot?) {
        if let own, cursor[own.replica] > own.seq {
            shown?.showAgain(through: Dot(replica: own.replica, seq: cursor[own.replica]))
            cursor[own.replica] = 0
            recovered = false
        }
        origin = shown?.extending(cursor) ?? cursor
    }

    /// A resume that is not over.
    var isResuming: Bool { purpose == .resume && !isLevel }

    /// What the session has been shown, or says that it has been, where `position` has been handed out live.
    func standing(at position: VersionVector) -> VersionVector {
        guard isLevel else { return cursor }
        var all = cursor
        all.merge(position)
        return all
    }

    // MARK: Pages

    /// The next page to be asked of the store under `number` (not 0), if one is needed and none is being read.
    /// - Parameter position: what has been handed out live of all logs.
    mutating func ask(_ number: UInt64, at position: VersionVector) -> Question? {
        guard !isLevel, !waits, asked == 0 else { return nil }
        asked = number
        overflowed = false
        return Question(
            number: number, purpose: purpose, cursor: cursor, shown: shown, recovered: recovered, origin: origin,
            position: position)
    }

    /// The page `number` could not be read: it is to be asked for again after a while.
    mutating func readFailed(_ number: UInt64) -> PageDecision {
        guard asked == number, asked != 0 else { return .ignore }
        asked = 0
        return .more(held: keepUnstored())
    }

    mutating func read(_ page: Page, _ number: UInt64, planted: PlantedFaults = []) -> PageDecision {
        guard asked == number && asked != 0 || planted.has(.latePageTaken) else { return .ignore }
        asked = 0
        if !cursor.covers(page.horizon) {
            guard purpose == .resume else { return .lost }
            recovered = false
        }
        if page.isCut { recovered = false }
        cursor.merge(page.reached)
        guard page.isLevel, !overflowed else { return .more(held: keepUnstored()) }
        isLevel = true
        changedDocuments = page.documents
        if page.hasMoreDocuments { recovered = false }
        let show = held.indices.filter { at in held[at].map { !has($0) } ?? true }
        held = []
        return .level(show: show)
    }

    /// A page will have the held frames that show entries; those that show none are kept.
    private mutating func keepUnstored() -> [Int] {
        let kept = held.indices.filter { held[$0] == nil }
        held = kept.map { held[$0] }
        return kept
    }

    /// The store has been opened for the first time, with what `position` covers: all of that was there before the session,
    /// so a slow one is not owed it; one that resumes is, as far as its cursor lacks it.
    /// - Parameter own: the end of this node's own log.
    mutating func begin(at position: VersionVector, own: Dot?) {
        if waits {
            waits = false
            judge(own)
        }
        guard purpose == .catchUp, !isLevel else { return }
        cursor.merge(position)
        asked = 0  // that page would begin too early
    }

    /// The store has less than was handed out: `position` was, and comes again where it comes back. The session was shown
    /// that, where it was level. Else it may lack some of it: what is held, and the page that is read, may be of what was
    /// there before and not of what is there now, so another page is the last.
    mutating func setBack(from position: VersionVector) {
        if isLevel { cursor.merge(position) } else { overflow() }
    }

    // MARK: Live frames

    /// A live frame of the room.
    /// - Parameter position: what has been handed out live of all logs before this frame; nil where it has not grown much
    ///   since this was last called, and the comparison may be saved.
    /// - Parameter takenBack: what had been handed out before the store went back: of that a live session is shown only what
    ///   it was not shown.
    mutating func live(_ dot: Dot?, position: VersionVector?, takenBack: VersionVector = VersionVector())
        -> LiveDecision
    {
        if isLevel {
            if let position, isPassed(by: position, takenBack) { return .rejoin }
            return dot.map(has) ?? false ? .skip : .show
        }
        if let dot, asked == 0 || overflowed || has(dot) { return .skip }
        held.append(dot)
        return .hold
    }

    private func has(_ dot: Dot) -> Bool { cursor.covers(dot) || shown?.covers(dot) ?? false }

    /// Nothing is to be filtered any more but what a live session's `base` does.
    private func isPassed(by position: VersionVector, _ takenBack: VersionVector) -> Bool {
        cursor.components.allSatisfy { position.covers($0) || takenBack.covers($0) }
            && shown.map { position.covers($0.through) } ?? true
    }

    /// Whether a page that a slow session was sent went as far as this entry, which is handed out only now: then the page had
    /// it if history has.
    func hasFed(_ dot: Dot) -> Bool { purpose == .catchUp && cursor.covers(dot) }

    /// The frames that are held have become too many: all are given up.
    mutating func overflow() {
        overflowed = true
        held = []
    }

    /// The session does not take what it is shown: it is fed from the store again, beginning behind `position`, up to where
    /// the live frames have come.
    mutating func fallBehind(at position: VersionVector) {
        cursor.merge(position)
        purpose = .catchUp
        if let through = shown?.through, position.covers(through) { shown = nil }
        isLevel = false
    }
}

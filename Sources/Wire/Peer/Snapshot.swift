import ConvergeCRDT

/// The state behind what a log no longer holds, in pieces.
///
/// A receiver goes through the server's state in passes. The first sends what `have`, the receiver's vector at the start,
/// does not cover; each following pass sends what changed since the pass before it began. When all that is left fits into
/// one piece, that piece is final: it is read at one moment, and tells the vector of that moment. Until then everything is
/// staged, where nobody sees it; then it is installed at once.
///
/// The server keeps nothing between two pieces: the request says all, so any node that covers `reached` can go on.
public struct SnapshotWant: Hashable, Sendable {
    /// Comes back with the answer.
    public var number: UInt64
    /// What the receiver had when it began: documents that it covers are not sent.
    public var have: VersionVector
    /// Where this pass began: the server's vector at the first piece of the pass before; `have` in the first pass.
    public var since: VersionVector
    /// What every piece so far was read at: who doesn't cover it can't go on.
    public var reached: VersionVector
    /// The last thing of the piece before, in this pass; nil at its beginning.
    public var after: SnapshotCursor?
    /// About how many bytes the answer may have.
    public var limit: UInt64
    /// The first half of the hash of each entry that `have` names: what is joined must not be two sides of a fork. Empty
    /// where it is not to be looked at.
    public var hashes: [UInt64]
    /// Whatever the receiver has beyond the server, it has as entries: it may take the server's state as a whole and put
    /// that on top. The server's own node says so, from the receiver's digest; it is not in the frame.
    public var mayReload: Bool
    /// The last kind of document that the receiver knows: documents of others are not told. As `mayReload`, by its hello.
    public var lastKind: UInt8 = .max

    public init(
        number: UInt64, have: VersionVector, since: VersionVector, reached: VersionVector, after: SnapshotCursor?,
        limit: UInt64, hashes: [UInt64] = [], mayReload: Bool = false
    ) {
        self.number = number
        self.have = have
        self.since = since
        self.reached = reached
        self.after = after
        self.limit = limit
        self.hashes = hashes
        self.mayReload = mayReload
    }
}

/// A place in a pass: documents come first, then attendance, keys, and entries.
public enum SnapshotCursor: Hashable, Sendable {
    case document(DocumentID)
    case attendance(room: Text, user: Text)
    case key(MessageID)
    /// In order of (replica, seq).
    case entry(Dot)
}

public struct SnapshotChunk: Hashable, Sendable {
    public enum Status: UInt8, Hashable, Sendable {
        /// There is more in this pass.
        case more = 1
        /// The pass is over, and too much has changed since it began to be told in one piece.
        case passEnded = 2
        /// This was the rest; `end` is set.
        case final = 3
        /// The server doesn't cover what the pieces before were read at.
        case behind = 4
        /// The store can't be read now.
        case unavailable = 5
        /// What the receiver has is not, or can't be told to be, a part of what the server has: it must not be joined with
        /// it, but give way to it (`StoreWriter.reload`).
        case forked = 6
    }

    public var number: UInt64
    public var status: Status
    /// The server's vector when it read this piece.
    public var at: VersionVector
    /// For logs of whose entries beyond `since` the server has dropped a shown message or system event: the last such one.
    /// Told by the pieces that have entries or end a pass.
    public var horizon = VersionVector()
    public var documents: [SnapshotDocument] = []
    public var attendance: [AttendanceRecord] = []
    public var keys: [KeyPosition] = []
    /// Those that are retained, by (replica, seq): below a floor there are gaps.
    public var entries: [Entry] = []
    /// The last thing in this piece, where there is more.
    public var next: SnapshotCursor?
    public var end: SnapshotEnd?

    public init(number: UInt64, status: Status, at: VersionVector) {
        self.number = number
        self.status = status
        self.at = at
    }

    /// The latest moment of anything in it; nil where nothing is dated. O(all).
    public var latest: HybridTimestamp? {
        var latest = end?.clock
        func look(_ timestamp: HybridTimestamp) { latest = max(latest ?? .zero, timestamp) }
        for document in documents { for cell in document.cells { look(cell.timestamp) } }
        for record in attendance { look(record.position.timestamp) }
        for key in keys { look(key.position.timestamp) }
        for entry in entries { look(entry.timestamp) }
        return latest
    }
}

/// What only the final piece tells.
public struct SnapshotEnd: Hashable, Sendable {
    /// The last entry of each log, and its hash, from which the chain goes on.
    public var heads: [LogEnd]
    public var floors: VersionVector
    /// The highest timestamp of any entry.
    public var clock: HybridTimestamp

    public init(heads: [LogEnd], floors: VersionVector, clock: HybridTimestamp) {
        self.heads = heads
        self.floors = floors
        self.clock = clock
    }
}

public struct LogEnd: Hashable, Sendable {
    public var dot: Dot
    public var hash: EntryHash

    public init(dot: Dot, hash: EntryHash) {
        self.dot = dot
        self.hash = hash
    }
}

/// One whole document: its cells, and what affected it.
public struct SnapshotDocument: Hashable, Sendable {
    public var id: DocumentID
    /// The highest seq of each replica that affected it; kept also when it is empty.
    public var touched: VersionVector
    public var cells: [DocumentCell]

    public init(id: DocumentID, touched: VersionVector, cells: [DocumentCell]) {
        self.id = id
        self.touched = touched
        self.cells = cells
    }
}

/// Where the message stands that was sent with the key of this id.
public struct KeyPosition: Hashable, Sendable {
    public var id: MessageID
    public var position: Position

    public init(id: MessageID, position: Position) {
        self.id = id
        self.position = position
    }
}

/// The last system event of (room, user). Its number says which it was: odd, joined; even, left.
///
/// Events of one (room, user) are numbered from 1, whoever writes them: two nodes that write the same number mean the same
/// event, and the earlier position stays. So joined and left alternate in history whatever the nodes knew of each other.
public struct AttendanceRecord: Hashable, Sendable {
    public var room: Text
    public var user: Text
    public var displayName: Text
    public var number: UInt64
    public var position: Position

    public var isJoined: Bool { number % 2 == 1 }

    public init(room: Text, user: Text, displayName: Text, number: UInt64, position: Position) {
        self.room = room
        self.user = user
        self.displayName = displayName
        self.number = number
        self.position = position
    }

    /// Which of two stays: the higher number, and of one number the earlier position.
    public func supersedes(_ other: AttendanceRecord) -> Bool {
        number == other.number ? position < other.position : number > other.number
    }
}

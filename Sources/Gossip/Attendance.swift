import ConvergeCRDT
import ConvergeWire

// Joined and left, as history tells them.
//
// Presence says who is there now; the last system event of (room, user) says what history has told of it. Whenever the
// two differ an event is due that makes them agree. That is all there is to it: it matters what is, and not what happened,
// so events that got lost with a node or were seen on two sides of a partition need no rule of their own.
//
// The events of one (room, user) are numbered from 1: the odd ones say joined, the even ones left. Whoever writes the next
// gives it the next number, and the number makes its id: so two nodes that write it at once write the same event, of which
// history shows the earlier. An event stands after one with the number before, which its writer had applied; so the
// earliest events of each number follow each other, and joined and left alternate in history whatever the nodes knew.
//
// Who writes: for joined, a node on which the user has a session; for left, the node that wrote the last joined, or the one
// whose session was the last to go; where the writer isn't there any more, the lowest live replica.

public struct AttendanceOptions: Sendable {
    /// How long the users of a lost node have to turn up on another before they are said to have left, in milliseconds.
    public var grace: UInt64 = 1_000
    /// The most (room, user) whose last event is kept in memory; the others are asked of the store when needed.
    public var limit = 262_144
    public var planted: PlantedFaults = []

    public init() {}
}

public struct RoomUser: Hashable, Comparable, Sendable {
    public var room: Text
    public var user: Text

    public init(room: Text, user: Text) {
        self.room = room
        self.user = user
    }

    public static func < (a: RoomUser, b: RoomUser) -> Bool { a.room == b.room ? a.user < b.user : a.room < b.room }
}

/// What a (room, user) is judged by.
public struct AttendanceFacts: Sendable {
    public var isPresent: Bool
    /// The user has a session in the room on this node, or had the last one that went.
    public var isHosted: Bool
    /// The replica that is this node's, and the lowest of those that live.
    public var replica: ReplicaID
    public var live: [ReplicaID]

    public init(isPresent: Bool, isHosted: Bool, replica: ReplicaID, live: [ReplicaID]) {
        self.isPresent = isPresent
        self.isHosted = isHosted
        self.replica = replica
        self.live = live
    }
}

public enum AttendanceVerdict: Hashable, Sendable {
    /// History says what is, or another node has to write.
    case agrees
    /// Write the event with this number.
    case write(number: UInt64)
    /// The store has to be asked first.
    case unknown
}

/// The last system event of each (room, user), and for which of them one may be due.
public struct Attendance: Sendable {
    public typealias Mark = UndoLog<Undo>.Mark

    public struct Undo: Sendable {
        let key: RoomUser
        let before: Last?
    }

    struct Last: Sendable, Hashable {
        var number: UInt64
        /// Nil where there has been none.
        var position: Position?
        var displayName: Text

        init(_ record: AttendanceRecord) {
            number = record.number
            position = record.position
            displayName = record.displayName
        }

        var writer: ReplicaID? { position?.dot.replica }

        /// Who has had none stands first.
        func isBefore(_ other: Last) -> Bool {
            guard let position, let theirs = other.position else { return position == nil }
            return position < theirs
        }

        /// There has been none.
        init() {
            number = 0
            displayName = ""
        }
    }

    private let options: AttendanceOptions
    private var last: [RoomUser: Last] = [:]
    /// Whether the store has events of pairs that are not in `last`.
    private var isComplete = true
    private var undoLog = UndoLog<Undo>()
    /// What is to be judged, in order, and not before when.
    private var due: [(key: RoomUser, at: UInt64, hosted: Bool)] = []
    /// Where each stands in it.
    private var queued: [RoomUser: Int] = [:]
    /// Nothing is due before.
    private var earliest = UInt64.max
    private var asked: Set<RoomUser> = []
    /// Of these only what has come since is known here: the store may have a later event.
    private var unsure: Set<RoomUser> = []

    public init(options: AttendanceOptions = AttendanceOptions()) { self.options = options }

    public var grace: UInt64 { options.grace }

    /// How many pairs of those that have left are in memory and could be forgotten. O(n).
    var forgettableCount: Int {
        let held = asked.union(undoLog.pending.map(\.key))
        return last.count { $0.value.number % 2 == 0 && !held.contains($0.key) }
    }

    /// How many pairs wait to be judged.
    public var dueCount: Int { due.count }

    /// What the store has, at its opening: all, or as many as were asked for.
    public mutating func load(_ records: [AttendanceRecord], isComplete: Bool) {
        last = [:]
        for record in records { last[record.key] = Last(record) }
        self.isComplete = isComplete
        undoLog = UndoLog()
        asked = []
        unsure = []
    }

    /// What the store has of pairs that were not known here.
    public mutating func found(_ keys: [RoomUser], _ records: [AttendanceRecord]) {
        for key in keys { asked.remove(key) }
        for record in records { keep(record) }
        for key in keys where last[key] == nil { last[key] = Last() }
        unsure.subtract(keys)
    }

    /// The store could not be asked: it is tried again.
    public mutating func notFound(_ keys: [RoomUser]) {
        for key in keys { asked.remove(key) }
    }

    private mutating func keep(_ record: AttendanceRecord) {
        let key = record.key
        if let known = last[key],
            known.number > record.number
                || (known.number == record.number && known.position.map { $0 <= record.position } ?? false)
        {
            return
        }
        last[key] = Last(record)
    }

    /// The number and the place of the last event; of several with that number the first in history. Nil where none is known.
    public func lastEvent(of key: RoomUser) -> (number: UInt64, position: Position)? {
        last[key].flatMap { last in last.position.map { (last.number, $0) } }
    }

    /// Takes up a system event that enters a batch. True where it is news: the first here of its number or a later one.
    public mutating func apply(_ record: AttendanceRecord) -> Bool {
        let key = record.key
        let before = last[key]
        let isNews = before.map { record.number > $0.number } ?? true
        guard
            isNews
                || before.map({ $0.number == record.number && $0.position.map { record.position < $0 } ?? true })
                    ?? true
        else {
            return false
        }
        if before == nil, !isComplete { unsure.insert(key) }
        undoLog.record(Undo(key: key, before: before))
        last[key] = Last(record)
        return isNews
    }

    public var mark: Mark { undoLog.mark }
    public var settled: Mark { undoLog.settled }

    public mutating func settle(through mark: Mark) {
        undoLog.settle(through: mark)
        trim()
    }

    /// Takes back what was applied after `mark`; the pairs are judged again.
    public mutating func rollBack(to mark: Mark, at now: UInt64) {
        for undo in undoLog.takeBack(to: mark) {
            last[undo.key] = undo.before
            touch(undo.key, at: now, hosted: false)
        }
    }

    /// Says that (room, user) may need an event, from `time` on. O(1).
    public mutating func touch(_ key: RoomUser, at time: UInt64, hosted: Bool) {
        earliest = min(earliest, time)
        guard let at = queued[key] else {
            queued[key] = due.count
            due.append((key, time, hosted))
            return
        }
        due[at].at = min(due[at].at, time)
        due[at].hosted = due[at].hosted || hosted
    }

    /// All pairs whose last event says joined, and all that are `present`: what has to be compared after a restart.
    public mutating func touchAll(present: [RoomUser], at now: UInt64) {
        var keys = Set(present)
        for (key, last) in last where last.number % 2 == 1 { keys.insert(key) }
        for key in keys.sorted() { touch(key, at: now, hosted: false) }
    }

    /// All pairs whose last event says joined and was written by a node that is not there any more: whoever had to write
    /// what comes next may be gone, too.
    public mutating func touchAbandoned(live: [ReplicaID], at time: UInt64) {
        var keys: [RoomUser] = []
        for (key, last) in last where last.number % 2 == 1 {
            if let writer = last.writer, !live.contains(writer) { keys.append(key) }
        }
        for key in keys.sorted() { touch(key, at: time, hosted: false) }
    }

    /// The pairs that are to be judged now, at most `limit`. O(1) where none is due, else O(queued).
    public mutating func takeDue(at now: UInt64, limit: Int) -> [(key: RoomUser, hosted: Bool)] {
        guard now >= earliest, !due.isEmpty else { return [] }
        var taken: [(key: RoomUser, hosted: Bool)] = []
        var left: [(key: RoomUser, at: UInt64, hosted: Bool)] = []
        earliest = .max
        for pair in due {
            if taken.count < limit, pair.at <= now {
                taken.append((pair.key, pair.hosted))
                queued[pair.key] = nil
            } else {
                queued[pair.key] = left.count
                earliest = min(earliest, pair.at)
                left.append(pair)
            }
        }
        due = left
        return taken
    }

    /// Whether this node has to write an event for (room, user), and which.
    public func judge(_ key: RoomUser, _ facts: AttendanceFacts) -> AttendanceVerdict {
        guard let last = last[key] else {
            if !isComplete { return .unknown }
            return facts.isPresent && facts.isHosted ? .write(number: 1) : .agrees
        }
        if unsure.contains(key) { return .unknown }
        let isJoined = last.number % 2 == 1
        guard isJoined != facts.isPresent else { return .agrees }
        if facts.isPresent { return facts.isHosted ? .write(number: last.number + 1) : .agrees }
        let isWriter =
            facts.isHosted || last.writer == facts.replica
            || (!facts.live.contains { $0 == last.writer } && facts.live.first == facts.replica)
        return isWriter ? .write(number: last.number + 1) : .agrees
    }

    /// What the last event called the user.
    public func displayName(of key: RoomUser) -> Text? { last[key]?.displayName }

    /// Asks for what is not known, once. False where it has been asked for already.
    public mutating func ask(_ key: RoomUser) -> Bool { asked.insert(key).inserted }

    /// Keeps the memory bounded: what has left longest ago by position goes, and is asked of the store when needed.
    private mutating func trim() {
        guard last.count > options.limit + options.limit / 8 else { return }
        // What is not stored yet, or just being asked for, the store can't tell when it is needed again.
        let held = asked.union(undoLog.pending.map(\.key))
        let left = last.filter { $0.value.number % 2 == 0 && !held.contains($0.key) }.sorted {
            $0.value.position == $1.value.position ? $0.key < $1.key : $0.value.isBefore($1.value)
        }
        for (key, _) in left.prefix(last.count - options.limit) {
            last[key] = nil
            unsure.remove(key)
        }
        isComplete = false
    }
}

extension AttendanceRecord {
    public var key: RoomUser { RoomUser(room: room, user: user) }
}

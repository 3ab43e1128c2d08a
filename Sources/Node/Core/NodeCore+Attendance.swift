import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Who comes and goes: what presence says becomes joined and left in history, or on the screens only, or nothing.
extension NodeCore {
    /// Tells presence something and carries out what it wants.
    /// - Parameter hosted: it is about a session of this node.
    mutating func inform(
        _ event: PresenceEvent, hosted: Bool = false, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        var wanted: [PresenceEffect] = []
        presence.handle(event, at: monotonic, into: &wanted)
        perform(wanted, hosted: hosted, at: now, into: &effects)
    }

    /// Sends what changed on this node since the last turn.
    mutating func flushPresence(at now: UInt64, into effects: inout [CoreEffect]) {
        var wanted: [PresenceEffect] = []
        presence.flush(into: &wanted)
        perform(wanted, hosted: false, at: now, into: &effects)
    }

    private mutating func perform(
        _ wanted: [PresenceEffect], hosted: Bool, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        for effect in wanted {
            switch effect {
            case .send(let peer, let frame, let bulk):
                send(frame, to: peer, bulk: bulk, into: &effects)
            case .came(let room, let user, let displayName):
                changed(.joined, room, user, displayName, isLost: false, hosted: hosted, at: now)
            case .went(let room, let user, let displayName, let isLost):
                changed(.left, room, user, displayName, isLost: isLost, hosted: hosted, at: now)
            }
        }
    }

    private mutating func changed(
        _ event: SystemPayload.Event, _ room: Text, _ user: Text, _ displayName: Text, isLost: Bool, hosted: Bool,
        at now: UInt64
    ) {
        switch options.systemEvents {
        case .off:
            break
        case .live:
            counters.systemEvents &+= 1
            guard let index = rooms.index(of: room) else { return }
            readyLoops.formUnion(rooms.loops(in: index))
            let stamp = stamp(at: now)
            ready.append(toRoom: index, dot: nil, by: &encoders) { encoder, frame in
                encoder.system(stamp, event: event, room: room, user: user, displayName: displayName, to: &frame)
            }
        case .stored:
            let key = RoomUser(room: room, user: user)
            if isLost {
                // They may turn up on another node in a moment.
                attendance.touch(key, at: monotonic + attendance.grace, hosted: hosted)
            } else {
                correct(key, hosted: hosted, at: now)
            }
        }
    }

    /// Judges those of whom something may be due.
    mutating func correctDueAttendance(at now: UInt64) {
        guard store == .ready, attendance.dueCount > 0,
            clockIsTolerable || options.planted.has(.attendanceIgnoresClock)
        else { return }
        for (key, hosted) in attendance.takeDue(at: monotonic, limit: Self.judgedAtOnce) {
            correct(key, hosted: hosted, at: now)
        }
    }

    /// How many pairs are judged in one turn: the rest waits for the next, so that no turn takes long.
    private static var judgedAtOnce: Int { 1_024 }

    /// Writes the event that makes history agree with who is there, if it is this node's to write.
    mutating func correct(_ key: RoomUser, hosted: Bool, at now: UInt64) {
        // Without a store, or a clock to date it by, nothing is recorded; when it is back, everything is judged.
        guard store == .ready, !renewing, clockIsTolerable || options.planted.has(.attendanceIgnoresClock),
            options.systemEvents == .stored, let log
        else { return }
        var facts = AttendanceFacts(
            isPresent: presence.isPresent(room: key.room, user: key.user),
            isHosted: hosted || presence.isHosted(room: key.room, user: key.user), replica: log.replica,
            live: liveReplicas)
        if options.planted.has(.attendanceDecidedLocally) { facts.isHosted = true }
        switch attendance.judge(key, facts) {
        case .agrees:
            break
        case .unknown:
            // Found out, it is judged again. A store that is shared may have an event that is held aside here: that it is
            // not found out then must not keep the readers busy.
            attendance.touch(key, at: monotonic + (replicator.isHolding ? 250 : 1), hosted: hosted)
            if attendance.ask(key) { wantedAttendance.append(key) }
        case .write(let number):
            let name = presence.ownName(room: key.room, user: key.user) ?? attendance.displayName(of: key) ?? key.user
            record(key, number: number, displayName: name, at: now)
        }
    }

    private mutating func record(_ key: RoomUser, number: UInt64, displayName: Text, at now: UInt64) {
        let event: SystemPayload.Event = number % 2 == 1 ? .joined : .left
        let isLocal = options.planted.has(.attendanceDecidedLocally)
        let id = isLocal ? nil : log!.eventID(room: key.room, user: key.user, number: number)
        let payload = SystemPayload(
            event: event, id: id, user: key.user, displayName: displayName, number: isLocal ? 0 : number)
        let room = rooms.open(key.room)
        let entry = place(.system, room, key.room, payload.encoded, after: nil, at: now)
        note(payload, of: entry)
        pipeline.open.frames.append(toRoom: room, dot: entry.dot, by: &encoders) { encoder, frame in
            encoder.system(
                id: id ?? MessageID(entry.dot), event: event, room: key.room, user: key.user, displayName: displayName,
                position: entry.position, to: &frame)
        }
        counters.systemEvents &+= 1
    }

    /// Takes up a system event that enters the batch, wherever it was written. True where it is news here.
    @discardableResult
    mutating func note(_ payload: SystemPayload, of entry: Entry) -> Bool {
        guard payload.number > 0 else { return true }
        let record = AttendanceRecord(
            room: entry.room, user: payload.user, displayName: payload.displayName, number: payload.number,
            position: entry.position)
        if let id = payload.id { pipeline.open.batch.effects.append(.key(id, position: entry.position)) }
        pipeline.open.batch.effects.append(.attendance(record))
        let isNews = attendance.apply(record)
        pipeline.open.attendance = attendance.mark
        return isNews
    }

    mutating func attendanceRead(
        _ keys: [RoomUser], _ records: Result<[AttendanceRecord], StoreError>, at now: UInt64
    ) {
        switch records {
        // An event that another node has stored and this one has not applied yet must not be followed: it is asked again.
        case .success(let records) where !records.allSatisfy({ replicator.applied.covers($0.position.dot) }):
            attendance.notFound(keys)
        case .success(let records): attendance.found(keys, records)
        case .failure: attendance.notFound(keys)
        }
    }

    /// Everything is judged: after a restart, and after a time without a store.
    mutating func judgeAll() {
        guard options.systemEvents == .stored else { return }
        let present = presence.attendance().map { RoomUser(room: $0.room, user: $0.user) }
        attendance.touchAll(present: present, at: monotonic)
    }
}

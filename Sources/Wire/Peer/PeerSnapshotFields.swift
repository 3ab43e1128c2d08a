import ConvergeCRDT

// The state behind what the logs no longer hold.
//
// want      number · have · since · reached · limit · cursor · hash(8)*
// cursor    0 none · 1 room kind(1) name · 2 room user · 3 id(16) · 4 replica seq
// chunk     number · status(1) · at · document* · attendance* · key* · entry* · cursor · [end, where it is final]
// document  room · kind(1) · name · touched · row*
// row       see PeerDocumentFields.swift
// end       (replica · seq · hash(16))* · floors · clock

extension SnapshotWant {
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        let number = try reader.number()
        let have = try reader.vector()
        let since = try reader.vector()
        let reached = try reader.vector()
        let limit = try reader.number()
        let after = try SnapshotCursor.read(&reader)
        let count = try reader.number()
        guard count == 0 || count == UInt64(have.components.count) else { throw .invalidField }
        var hashes: [UInt64] = []
        for _ in 0..<count { hashes.append(try reader.fixed()) }
        self.init(
            number: number, have: have, since: since, reached: reached, after: after, limit: limit, hashes: hashes)
    }

    func write(to writer: inout PeerWriter) {
        writer.append(number)
        writer.append(have)
        writer.append(since)
        writer.append(reached)
        writer.append(limit)
        SnapshotCursor.write(after, to: &writer)
        writer.append(UInt64(hashes.count))
        for hash in hashes { writer.append(fixed: hash) }
    }
}

extension SnapshotCursor {
    static func read(_ reader: inout PeerReader) throws(PeerFrameError) -> SnapshotCursor? {
        switch try reader.byte() {
        case 0: return nil
        case 1: return .document(try DocumentID(reading: &reader))
        case 2: return .attendance(room: try reader.room(), user: try reader.text(limit: PeerLimits.room))
        case 3: return .key(MessageID(high: try reader.fixed(), low: try reader.fixed()))
        case 4: return .entry(try Dot(reading: &reader))
        default: throw .invalidField
        }
    }

    static func write(_ cursor: SnapshotCursor?, to writer: inout PeerWriter) {
        switch cursor {
        case nil: writer.append(byte: 0)
        case .document(let id):
            writer.append(byte: 1)
            id.write(to: &writer)
        case .attendance(let room, let user):
            writer.append(byte: 2)
            writer.append(room: room)
            writer.append(user)
        case .key(let id):
            writer.append(byte: 3)
            writer.append(fixed: id.high)
            writer.append(fixed: id.low)
        case .entry(let dot):
            writer.append(byte: 4)
            dot.write(to: &writer)
        }
    }
}

extension SnapshotChunk {
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        let number = try reader.number()
        let status = try reader.code(of: Status.self)
        self.init(number: number, status: status, at: try reader.vector())
        horizon = try reader.vector()
        documents = try reader.list()
        attendance = try reader.list()
        keys = try reader.list()
        entries = try reader.list(of: Entry.self, by: { $0.dot })
        next = try SnapshotCursor.read(&reader)
        if status == .final { end = try SnapshotEnd(reading: &reader) }
    }

    /// The end of a piece that isn't final is not written.
    func write(to writer: inout PeerWriter) {
        writer.append(number)
        writer.append(byte: status.rawValue)
        writer.append(at)
        writer.append(horizon)
        writer.append(documents)
        writer.append(attendance)
        writer.append(keys)
        writer.append(entries)
        SnapshotCursor.write(next, to: &writer)
        guard status == .final else { return }
        guard let end else { preconditionFailure("the final piece of a snapshot has no end") }
        end.write(to: &writer)
    }
}

extension SnapshotEnd {
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(heads: try reader.list(), floors: try reader.vector(), clock: try reader.timestamp())
    }

    func write(to writer: inout PeerWriter) {
        writer.append(heads)
        writer.append(floors)
        writer.append(clock)
    }
}

extension LogEnd: PeerField {
    static var fewestBytes: Int { 18 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        let dot = try Dot(reading: &reader)
        self.init(dot: dot, hash: EntryHash(high: try reader.fixed(), low: try reader.fixed()))
    }

    func write(to writer: inout PeerWriter) {
        dot.write(to: &writer)
        writer.append(fixed: hash.high)
        writer.append(fixed: hash.low)
    }
}

extension DocumentID: PeerField {
    static var fewestBytes: Int { 3 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(
            room: try reader.room(), kind: try reader.code(of: DocumentKind.self),
            name: try reader.text(limit: PeerLimits.document))
    }

    func write(to writer: inout PeerWriter) {
        writer.append(room: room)
        writer.append(byte: kind.rawValue)
        writer.append(name)
    }
}

extension AttendanceRecord: PeerField {
    static var fewestBytes: Int { 7 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(
            room: try reader.room(), user: try reader.text(limit: PeerLimits.room),
            displayName: try reader.text(limit: PeerLimits.room), number: try reader.number(),
            position: try reader.position())
    }

    func write(to writer: inout PeerWriter) {
        writer.append(room: room)
        writer.append(user)
        writer.append(displayName)
        writer.append(number)
        writer.append(position)
    }
}

extension KeyPosition: PeerField {
    static var fewestBytes: Int { 19 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        let id = MessageID(high: try reader.fixed(), low: try reader.fixed())
        self.init(id: id, position: try reader.position())
    }

    func write(to writer: inout PeerWriter) {
        writer.append(fixed: id.high)
        writer.append(fixed: id.low)
        writer.append(position)
    }
}

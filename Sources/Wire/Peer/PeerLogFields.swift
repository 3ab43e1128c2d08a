import ConvergeCRDT

// What is in whose log.
//
// digest   heads: (replica · seq · hash(8))* · floors: (replica · seq)* · direct: replica*
//          · presence: (owner · boot · version)* · wall · …
// want     number · (replica · after · through − after)* · limit
// range    number · status(1) · entry*

extension PeerDigest {
    /// What a newer minor version appends is left unread.
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        let heads = try reader.list(of: HeadDigest.self, by: { $0.dot.replica })
        let floors = try reader.vector().components
        let direct = try reader.list(of: ReplicaID.self, by: { $0 })
        let presence = try reader.list(of: PresenceVersion.self)
        self.init(heads: heads, floors: floors, direct: direct, presence: presence, wall: try reader.number())
    }

    func write(to writer: inout PeerWriter) {
        writer.append(heads)
        writer.append(floors)
        writer.append(direct)
        writer.append(presence)
        writer.append(wall)
    }
}

extension HeadDigest: PeerField {
    static var fewestBytes: Int { 10 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(dot: try Dot(reading: &reader), hash: try reader.fixed())
    }

    func write(to writer: inout PeerWriter) {
        dot.write(to: &writer)
        writer.append(fixed: hash)
    }
}

extension LogRange: PeerField {
    static var fewestBytes: Int { 3 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        let replica = try reader.replica()
        let after = try reader.number()
        let (through, overflow) = after.addingReportingOverflow(try reader.number())
        guard !overflow else { throw .invalidField }
        self.init(replica: replica, after: after, through: through)
    }

    /// One that ends before it begins is refused by the other side.
    func write(to writer: inout PeerWriter) {
        writer.append(replica)
        writer.append(after)
        writer.append(through &- after)
    }
}

extension EntriesWant {
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(
            number: try reader.number(), ranges: try reader.list(of: LogRange.self, by: { $0.replica }),
            limit: try reader.number())
    }

    func write(to writer: inout PeerWriter) {
        writer.append(number)
        writer.append(ranges)
        writer.append(limit)
    }
}

extension EntriesRange {
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(
            number: try reader.number(), status: try reader.code(of: Status.self), entries: try reader.rest())
    }

    func write(to writer: inout PeerWriter) {
        writer.append(number)
        writer.append(byte: status.rawValue)
        writer.append(rest: entries)
    }
}

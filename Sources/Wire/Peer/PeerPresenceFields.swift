import ConvergeCRDT

// Who is present.
//
// delta    owner · boot · from · seat*
// want     owner · boot
// chunk    owner · boot · version · index · isLast(1) · seat*
// seat     room · user · displayName · sessions

extension PresenceVersion: PeerField {
    static var fewestBytes: Int { 3 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(owner: try reader.replica(), boot: try reader.number(), version: try reader.number())
    }

    func write(to writer: inout PeerWriter) {
        writer.append(owner)
        writer.append(boot)
        writer.append(version)
    }
}

extension Seat: PeerField {
    static var fewestBytes: Int { 4 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(
            room: try reader.room(), user: try reader.text(limit: PeerLimits.room),
            displayName: try reader.text(limit: PeerLimits.room), sessions: try reader.number(as: UInt32.self))
    }

    func write(to writer: inout PeerWriter) {
        writer.append(room: room)
        writer.append(user)
        writer.append(displayName)
        writer.append(UInt64(sessions))
    }
}

extension PresenceDelta {
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(
            owner: try reader.replica(), boot: try reader.number(), from: try reader.number(),
            changes: try reader.rest())
        // Who takes the delta is then at `from + changes.count`.
        guard !from.addingReportingOverflow(UInt64(changes.count)).overflow else { throw .invalidField }
    }

    func write(to writer: inout PeerWriter) {
        writer.append(owner)
        writer.append(boot)
        writer.append(from)
        writer.append(rest: changes)
    }
}

extension PresenceWant {
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(owner: try reader.replica(), boot: try reader.number())
    }

    func write(to writer: inout PeerWriter) {
        writer.append(owner)
        writer.append(boot)
    }
}

extension PresenceChunk {
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(
            owner: try reader.replica(), boot: try reader.number(), version: try reader.number(),
            index: try reader.number(as: UInt32.self), isLast: try reader.flag(), seats: try reader.rest())
    }

    func write(to writer: inout PeerWriter) {
        writer.append(owner)
        writer.append(boot)
        writer.append(version)
        writer.append(UInt64(index))
        writer.append(byte: isLast ? 1 : 0)
        writer.append(rest: seats)
    }
}

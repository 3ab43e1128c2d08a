import ConvergeCRDT

/// Entries in a frame: all of each, in fewer bytes than it is stored in, and restored exactly, also those of kinds that
/// this build doesn't know.
///
/// ```
/// entry   lead · [version namespace flags] · [kind] · [replica] · [seq] · timestamp · [dots] · room · hash(16) · payload
/// lead    bits 0–1  0 replica and seq follow · 1 seq follows, of the replica before · 2 the dot after the one before
///         bit 2     dots follow: the dependencies
///         bit 3     the payload has been erased
///         bit 4     version, namespace and flags follow; otherwise 1, 0 and none
///         bit 5     0
///         bits 6–7  the kind: 1 message · 2 system · 3 document · 0 it follows
/// ```
/// Each of these is written in its shortest way, and refused in any other.
private struct Lead {
    static let sameReplica: UInt8 = 1
    static let next: UInt8 = 2
    static let place: UInt8 = 3
    static let dependencies: UInt8 = 4
    static let redacted: UInt8 = 8
    static let uncommon: UInt8 = 16
    static let reserved: UInt8 = 32
}

extension Entry: PeerField {
    static var fewestBytes: Int { 20 }

    func write(to writer: inout PeerWriter) {
        let outside = flags.subtracting(.redacted)
        let isCommon = namespace == 0 && outside.isEmpty
        let isKnown = 1...3 ~= kind.rawValue
        var lead: UInt8 = isKnown ? kind.rawValue << 6 : 0
        if let before = writer.context.entry, before.replica == dot.replica {
            lead |= before.seq &+ 1 == dot.seq ? Lead.next : Lead.sameReplica
        }
        if !dependencies.isEmpty { lead |= Lead.dependencies }
        if flags.contains(.redacted) { lead |= Lead.redacted }
        if !isCommon { lead |= Lead.uncommon }
        writer.append(byte: lead)
        if !isCommon {
            writer.append(byte: Entry.formatVersion)
            writer.append(byte: namespace)
            writer.append(byte: outside.rawValue)
        }
        if !isKnown { writer.append(byte: kind.rawValue) }
        if lead & Lead.place == 0 { writer.append(dot.replica) }
        if lead & Lead.place != Lead.next { writer.append(dot.seq) }
        writer.context.entry = dot
        writer.append(timestamp)
        if !dependencies.isEmpty { writer.append(dependencies) }
        writer.append(room: room)
        writer.append(fixed: hash.high)
        writer.append(fixed: hash.low)
        writer.append(payload)
    }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        let lead = try reader.byte()
        guard lead & Lead.reserved == 0 else { throw .invalidField }
        var namespace: UInt8 = 0
        var flags: Flags = []
        if lead & Lead.uncommon != 0 {
            let version = try reader.byte()
            guard version == Entry.formatVersion else { throw .unknownEntryVersion(version) }
            namespace = try reader.byte()
            flags = Flags(rawValue: try reader.byte())
            guard !flags.contains(.redacted), namespace != 0 || !flags.isEmpty else { throw .invalidField }
        }
        if lead & Lead.redacted != 0 { flags.insert(.redacted) }
        var kind = EntryKind(rawValue: lead >> 6)
        if kind.rawValue == 0 {
            kind = EntryKind(rawValue: try reader.byte())
            guard !(1...3 ~= kind.rawValue) else { throw .invalidField }
        }
        let dot = try Entry.dot(lead & Lead.place, reading: &reader)
        let timestamp = try reader.timestamp()
        var dependencies: [Dot] = []
        if lead & Lead.dependencies != 0 {
            dependencies = try reader.list()
            guard !dependencies.isEmpty else { throw .invalidField }
        }
        let room = try reader.room()
        let hash = EntryHash(high: try reader.fixed(), low: try reader.fixed())
        self.init(dot: dot, timestamp: timestamp, kind: kind, room: room, payload: try reader.bytes())
        self.namespace = namespace
        self.flags = flags
        self.dependencies = dependencies
        self.hash = hash
    }

    private static func dot(_ place: UInt8, reading reader: inout PeerReader) throws(PeerFrameError) -> Dot {
        let before = reader.context.entry
        let dot: Dot
        switch (place, before) {
        case (0, _):
            dot = try Dot(reading: &reader)
            guard dot.replica != before?.replica else { throw .invalidField }
        case (Lead.sameReplica, let before?):
            dot = Dot(replica: before.replica, seq: try reader.number())
            guard dot.seq != before.seq &+ 1 else { throw .invalidField }
        case (Lead.next, let before?): dot = Dot(replica: before.replica, seq: before.seq &+ 1)
        default: throw .invalidField
        }
        guard dot.seq > 0 else { throw .invalidField }
        reader.context.entry = dot
        return dot
    }
}

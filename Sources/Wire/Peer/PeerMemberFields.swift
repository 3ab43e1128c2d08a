import ConvergeCRDT

// Who is a member and lives.
//
// hello    lowest · highest · cluster · replica · boot · process(8) · name · address · wall · incarnation · [last kind(1)] · …
// update   replica · incarnation · state(1) · from · address · name

extension PeerHello {
    /// What a newer minor version appends is left unread.
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(
            lowestVersion: try reader.number(as: UInt16.self), highestVersion: try reader.number(as: UInt16.self),
            cluster: try reader.name(), replica: try reader.replica(),
            boot: try reader.number(), process: try reader.fixed(), name: try reader.name(),
            address: try reader.name(), wall: try reader.number(),
            incarnation: try reader.number())
        if !reader.isAtEnd { lastKind = max(try reader.byte(), lastKind) }
        guard lowestVersion <= highestVersion else { throw .invalidField }
    }

    func write(to writer: inout PeerWriter) {
        writer.append(UInt64(lowestVersion))
        writer.append(UInt64(highestVersion))
        writer.append(cluster)
        writer.append(replica)
        writer.append(boot)
        writer.append(fixed: process)
        writer.append(name)
        writer.append(address)
        writer.append(wall)
        writer.append(incarnation)
        if lastKind > DocumentKind.knownToAll.rawValue { writer.append(byte: lastKind) }
    }
}

extension MemberUpdate: PeerField {
    static var fewestBytes: Int { 6 }

    /// A name or address with control characters is read: it may be hearsay, from a node that knows no better, and the
    /// link to that node must not end for it. `Membership` keeps none.
    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(
            replica: try reader.replica(), incarnation: try reader.number(),
            state: try reader.code(of: MemberState.self), from: try reader.replica(),
            address: try reader.text(limit: PeerLimits.name), name: try reader.text(limit: PeerLimits.name))
    }

    func write(to writer: inout PeerWriter) {
        writer.append(replica)
        writer.append(incarnation)
        writer.append(byte: state.rawValue)
        writer.append(from)
        writer.append(address)
        writer.append(name)
    }
}

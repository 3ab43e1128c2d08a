import ConvergeCRDT

/// Reads the fields of one frame, whose bytes may be anything: never past their end, never making room for more than
/// they can hold, and only the one form that `PeerWriter` writes.
struct PeerReader {
    private var reader: ByteReader
    var context = PeerContext()

    init(_ bytes: UnsafeRawBufferPointer) { reader = ByteReader(bytes) }

    var isAtEnd: Bool { reader.remaining == 0 }

    func finish() throws(PeerFrameError) {
        guard isAtEnd else { throw .trailingBytes }
    }

    @inline(__always)
    mutating func byte() throws(PeerFrameError) -> UInt8 {
        do throws(EntryCodecError) { return try reader.byte() } catch { throw PeerFrameError(error) }
    }

    @inline(__always)
    mutating func number() throws(PeerFrameError) -> UInt64 {
        do throws(EntryCodecError) { return try reader.varint() } catch { throw PeerFrameError(error) }
    }

    @inline(__always)
    mutating func number<N: FixedWidthInteger>(as type: N.Type) throws(PeerFrameError) -> N {
        guard let number = N(exactly: try number()) else { throw .invalidField }
        return number
    }

    @inline(__always)
    mutating func fixed() throws(PeerFrameError) -> UInt64 {
        do throws(EntryCodecError) { return try reader.fixed() } catch { throw PeerFrameError(error) }
    }

    mutating func bytes() throws(PeerFrameError) -> [UInt8] {
        do throws(EntryCodecError) { return [UInt8](try reader.counted()) } catch { throw PeerFrameError(error) }
    }

    mutating func code<C: RawRepresentable<UInt8>>(of type: C.Type) throws(PeerFrameError) -> C {
        guard let code = C(rawValue: try byte()) else { throw .invalidField }
        return code
    }

    mutating func flag() throws(PeerFrameError) -> Bool {
        switch try byte() {
        case 0: return false
        case 1: return true
        default: throw .invalidField
        }
    }

    /// A text of at most `limit` bytes.
    mutating func text(limit: Int) throws(PeerFrameError) -> Text {
        try text(length: try number(), limit: limit)
    }

    /// What a node says of itself: of its own name, its address, its cluster.
    mutating func name() throws(PeerFrameError) -> Text {
        let name = try text(limit: PeerLimits.name)
        guard !name.hasControls else { throw .controlCharacter }
        return name
    }

    /// A text as long as the frame allows: what users write.
    mutating func text() throws(PeerFrameError) -> Text { try text(limit: .max) }

    private mutating func text(length: UInt64, limit: Int) throws(PeerFrameError) -> Text {
        guard length <= UInt64(reader.remaining) else { throw .truncated }
        guard length <= UInt64(limit) else { throw .textTooLong(Int(length)) }
        do throws(EntryCodecError) {
            guard let text = Text(validating: try reader.take(Int(length))) else { throw .invalidText }
            return text
        } catch { throw PeerFrameError(error) }
    }

    mutating func room() throws(PeerFrameError) -> Text {
        let length = try number()
        if length == 0 {
            guard let room = context.room else { throw .invalidField }
            return room
        }
        let room = try text(length: length - 1, limit: PeerLimits.room)
        guard room != context.room else { throw .invalidField }
        context.room = room
        return room
    }

    mutating func replica() throws(PeerFrameError) -> ReplicaID {
        let reference = Int(try byte())
        if reference > 0 {
            guard reference <= context.replicas.count else { throw .invalidField }
            return context.replicas[reference - 1]
        }
        let number: UInt64 = try fixed()
        guard let replica = ReplicaID(assigned: number) else { throw .nobodysReplica(number) }
        guard context.index(of: replica) == nil else { throw .invalidField }
        context.note(replica)
        return replica
    }

    mutating func timestamp() throws(PeerFrameError) -> HybridTimestamp {
        context.timestamp = context.timestamp.advanced(by: try number())
        return context.timestamp
    }

    mutating func position() throws(PeerFrameError) -> Position {
        Position(timestamp: try timestamp(), dot: try Dot(reading: &self))
    }

    /// Room is made for what has been read, not for what is announced: memory grows with the bytes.
    mutating func list<F: PeerField>(of type: F.Type = F.self) throws(PeerFrameError) -> [F] {
        let count = try number()
        guard count <= UInt64(PeerLimits.count) else { throw .tooMany(count) }
        guard count <= UInt64(reader.remaining / F.fewestBytes) else { throw .truncated }
        var list: [F] = []
        list.reserveCapacity(min(Int(count), 256))
        for _ in 0..<count { list.append(try F(reading: &self)) }
        return list
    }

    /// All that is left of the frame.
    mutating func rest<F: PeerField>(of type: F.Type = F.self) throws(PeerFrameError) -> [F] {
        var list: [F] = []
        while !isAtEnd {
            guard list.count < PeerLimits.count else { throw .tooMany(UInt64(list.count)) }
            list.append(try F(reading: &self))
        }
        return list
    }

    /// A list that rises by `key`, with nothing in it twice.
    mutating func list<F: PeerField, K: Comparable>(
        of type: F.Type = F.self, by key: (F) -> K
    ) throws(PeerFrameError) -> [F] {
        let list = try list(of: F.self)
        for (a, b) in zip(list, list.dropFirst()) {
            guard key(a) < key(b) else { throw .unsorted }
        }
        return list
    }

    mutating func vector() throws(PeerFrameError) -> VersionVector {
        let dots = try list(of: Dot.self, by: { $0.replica })
        guard dots.allSatisfy({ $0.seq > 0 }) else { throw .invalidField }
        return VersionVector(dots)
    }
}

extension Dot: PeerField {
    static var fewestBytes: Int { 2 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        self.init(replica: try reader.replica(), seq: try reader.number())
    }

    func write(to writer: inout PeerWriter) {
        writer.append(replica)
        writer.append(seq)
    }
}

extension ReplicaID: PeerField {
    static var fewestBytes: Int { 1 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) { self = try reader.replica() }

    func write(to writer: inout PeerWriter) { writer.append(self) }
}

import ConvergeCRDT

/// Frames between nodes as bytes.
///
/// ```
/// frame   length · kind(1) · body          the length counts the kind and the body
/// ```
/// Numbers are varints (Varint.swift) unless a width stands beside them; (8) and (16) are big-endian; texts have their
/// length before them; replicas, rooms and timestamps are shortened by what the frame has said before (PeerContext). Each
/// value has one form, and bytes in any other are refused, so decoding and encoding again gives the same bytes; save
/// where a newer minor version may append fields: to `hello` and `digest`.
///
/// Kinds below 128 may be added by minor versions: who doesn't know one skips it. From 128 on only a major version may
/// add any. docs/peer-protocol.md has all layouts.
enum PeerFrameKind: UInt8 {
    case hello = 1
    case refused = 2

    case probe = 8
    case probeRequest = 9
    case probeAck = 10
    case probeNack = 11
    case members = 12

    case entries = 16
    case stored = 17
    case digest = 18
    case summary = 19
    case want = 20
    case range = 21

    case snapshotWant = 32
    case snapshotChunk = 33

    case presenceDelta = 40
    case presenceWant = 41
    case presenceChunk = 42

    /// The first of the kinds that no minor version adds.
    static let firstOfMajor: UInt8 = 128

    /// Whether newer minor versions may append fields.
    var isExtensible: Bool { self == .hello || self == .digest }
}

extension PeerFrame {
    var kind: PeerFrameKind {
        switch self {
        case .hello: .hello
        case .refused: .refused
        case .probe: .probe
        case .probeRequest: .probeRequest
        case .probeAck: .probeAck
        case .probeNack: .probeNack
        case .members: .members
        case .entries: .entries
        case .stored: .stored
        case .digest: .digest
        case .summary: .summary
        case .want: .want
        case .range: .range
        case .snapshotWant: .snapshotWant
        case .snapshotChunk: .snapshotChunk
        case .presenceDelta: .presenceDelta
        case .presenceWant: .presenceWant
        case .presenceChunk: .presenceChunk
        }
    }
}

public enum PeerFrameCodec {
    /// Appends the frame with its length before it. What it holds must keep to `PeerLimits` and be sorted where its type
    /// says so: the other side refuses what isn't. O(bytes).
    public static func encode(_ frame: PeerFrame, to out: inout ByteBuffer) {
        let start = out.count
        out.append(0)
        var writer = PeerWriter(out)
        frame.write(to: &writer)
        out = writer.finish()
        insertLength(at: start, of: &out)
    }

    /// Puts the length of what follows into the place that was kept for it; few frames need more than that one byte.
    private static func insertLength(at start: Int, of out: inout ByteBuffer) {
        let length = out.count - start - 1
        if length < 0x80 {
            out.mutableBytes[start] = UInt8(length)
            return
        }
        let extra = (length.bitWidth - length.leadingZeroBitCount - 1) / 7
        _ = out.reserve(extra)
        out.commit(extra)
        let place = UnsafeMutableRawBufferPointer(rebasing: out.mutableBytes[start...])
        let body = UnsafeRawBufferPointer(rebasing: place[1..<1 + length])
        UnsafeMutableRawBufferPointer(rebasing: place[(1 + extra)...]).copyMemory(from: body)
        for at in 0...extra {
            place[at] = UInt8(length >> (7 * at) & 0x7F) | (at < extra ? 0x80 : 0)
        }
    }
}

extension PeerFrame {
    /// The frame with its length before it, as `PeerFrameCodec.encode`.
    public func encoded() -> [UInt8] {
        var out = ByteBuffer(capacity: 128)
        PeerFrameCodec.encode(self, to: &out)
        return out.array()
    }

    func write(to writer: inout PeerWriter) {
        writer.append(byte: kind.rawValue)
        switch self {
        case .hello(let hello): hello.write(to: &writer)
        case .refused(let refusal): writer.append(byte: refusal.rawValue)
        case .probe(let number, let updates), .probeAck(let number, let updates):
            writer.append(number)
            writer.append(rest: updates)
        case .probeRequest(let number, let target, let updates):
            writer.append(number)
            writer.append(target)
            writer.append(rest: updates)
        case .probeNack(let number): writer.append(number)
        case .members(let updates): writer.append(rest: updates)
        case .entries(let entries, let wantsStored):
            writer.append(byte: wantsStored ? 1 : 0)
            writer.append(rest: entries)
        case .stored(let seq, let bytes):
            writer.append(seq)
            writer.append(bytes)
        case .digest(let digest): digest.write(to: &writer)
        case .summary(let hash): writer.append(fixed: hash)
        case .want(let want): want.write(to: &writer)
        case .range(let range): range.write(to: &writer)
        case .snapshotWant(let want): want.write(to: &writer)
        case .snapshotChunk(let chunk): chunk.write(to: &writer)
        case .presenceDelta(let delta): delta.write(to: &writer)
        case .presenceWant(let want): want.write(to: &writer)
        case .presenceChunk(let chunk): chunk.write(to: &writer)
        }
    }

    /// Reads one frame from its kind and body, without the length.
    ///
    /// Throws `unknownKind` for what a newer minor version may have added, and any other `PeerFrameError` for what is no
    /// frame at all. O(bytes); takes memory in proportion to `body`, whatever it says.
    public init(decoding body: UnsafeRawBufferPointer) throws(PeerFrameError) {
        var reader = PeerReader(body)
        let code = try reader.byte()
        guard let kind = PeerFrameKind(rawValue: code) else {
            throw code < PeerFrameKind.firstOfMajor ? .unknownKind(code) : .unknownMajor(code)
        }
        self = try PeerFrame(kind, reading: &reader)
        if !kind.isExtensible { try reader.finish() }
    }

    private init(_ kind: PeerFrameKind, reading reader: inout PeerReader) throws(PeerFrameError) {
        switch kind {
        case .hello: self = .hello(try PeerHello(reading: &reader))
        case .refused: self = .refused(try reader.code(of: PeerRefusal.self))
        case .probe: self = .probe(number: try reader.number(), try reader.rest())
        case .probeRequest:
            self = .probeRequest(number: try reader.number(), target: try reader.replica(), try reader.rest())
        case .probeAck: self = .probeAck(number: try reader.number(), try reader.rest())
        case .probeNack: self = .probeNack(number: try reader.number())
        case .members: self = .members(try reader.rest())
        case .entries:
            let wantsStored = try reader.flag()
            self = .entries(try reader.rest(), wantsStored: wantsStored)
        case .stored: self = .stored(seq: try reader.number(), bytes: try reader.number())
        case .digest: self = .digest(try PeerDigest(reading: &reader))
        case .summary: self = .summary(hash: try reader.fixed())
        case .want: self = .want(try EntriesWant(reading: &reader))
        case .range: self = .range(try EntriesRange(reading: &reader))
        case .snapshotWant: self = .snapshotWant(try SnapshotWant(reading: &reader))
        case .snapshotChunk: self = .snapshotChunk(try SnapshotChunk(reading: &reader))
        case .presenceDelta: self = .presenceDelta(try PresenceDelta(reading: &reader))
        case .presenceWant: self = .presenceWant(try PresenceWant(reading: &reader))
        case .presenceChunk: self = .presenceChunk(try PresenceChunk(reading: &reader))
        }
    }
}

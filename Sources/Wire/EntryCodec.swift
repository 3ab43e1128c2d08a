import ConvergeCRDT

/// Entries as bytes: the header that is hashed, the payloads that are stored, and the whole that peers send one another.
///
/// ```
/// header     01 namespace flags kind · replica(8) timestamp(8) · seq · dots · room
/// whole      header · hash(16) · redacted · payload
/// message    01 hasID · [id(16)] · user · displayName · body
/// system     01 hasID event · [id(16)] · [number] · user · displayName      hasID: 0 neither, 1 id, 2 id and number
/// document   see Documents/DocumentCodec.swift
/// redaction  01 replica(8) seq
/// ```
/// (8) and (16) are big-endian; other numbers are varints, the amount zigzag; texts and bodies have their length before
/// them. Every layout begins with its version, and each value has one form. Reading ends in a value or an
/// `EntryCodecError`, whatever the bytes are.
///
/// What takes the place of an erased payload is its digest (32 bytes), and where it had an id, that (16 bytes) behind it.
public enum EntryCodecError: Error, Hashable, Sendable {
    case truncated
    case trailingBytes
    /// A number in more bytes than it needs, or of more than 64 bits.
    case invalidNumber
    /// Not UTF-8.
    case invalidText
    /// A field has a value that this version doesn't give it.
    case invalidField
    /// Written by a newer build: to be kept as it is, not interpreted.
    case unknownVersion(UInt8)
    /// A document's change of a kind that this build doesn't know: to be kept as it is, not interpreted.
    case unknownDelta(UInt8)
    /// An entry of a kind that has no meaning in this build.
    case unknownKind(EntryKind)
    /// The payload has been erased.
    case redacted
    /// An entry of a kind that is not shown.
    case notShown
    /// A payload of more than `Entry.payloadLimit` bytes.
    case tooLarge

    /// Whether a newer build may well make sense of it.
    public var isUnknown: Bool {
        switch self {
        case .unknownVersion, .unknownDelta, .unknownKind: true
        case .truncated, .trailingBytes, .invalidNumber, .invalidText, .invalidField, .redacted, .notShown, .tooLarge:
            false
        }
    }
}

// MARK: Header

extension Entry {
    /// Appends the header: all of the entry but payload and hash. What is erased later keeps its header, so the flag
    /// that says so is not in it.
    public func appendHeader(to out: inout ByteBuffer) {
        out.append(Entry.formatVersion)
        out.append(namespace)
        out.append(flags.subtracting(.redacted).rawValue)
        out.append(kind.rawValue)
        out.appendFixed(dot.replica.rawValue)
        out.appendFixed(timestamp.rawValue)
        out.appendVarint(dot.seq)
        out.appendDots(dependencies)
        out.appendCounted(room)
    }

    /// An entry of which only the header is known: without payload and hash.
    public init(header reader: inout ByteReader) throws(EntryCodecError) {
        let version = try reader.byte()
        guard version == Entry.formatVersion else { throw .unknownVersion(version) }
        let namespace = try reader.byte()
        let flags = Flags(rawValue: try reader.byte())
        guard !flags.contains(.redacted) else { throw .invalidField }
        let kind = EntryKind(rawValue: try reader.byte())
        let replica = try reader.replica()
        let timestamp = HybridTimestamp(rawValue: try reader.fixed())
        let seq = try reader.varint()
        guard seq > 0 else { throw .invalidField }
        let dependencies = try reader.dots()
        self.init(
            dot: Dot(replica: replica, seq: seq), timestamp: timestamp, kind: kind, room: try reader.text(), payload: []
        )
        self.namespace = namespace
        self.flags = flags
        self.dependencies = dependencies
    }

    /// The dependencies as one run of bytes, for storage; empty where there are none.
    public var encodedDependencies: [UInt8] {
        if dependencies.isEmpty { return [] }
        var out = ByteBuffer(capacity: 1 + dependencies.count * 12)
        out.appendDots(dependencies)
        return out.array()
    }

    public static func dependencies(decoding bytes: UnsafeRawBufferPointer) throws(EntryCodecError) -> [Dot] {
        if bytes.isEmpty { return [] }
        var reader = ByteReader(bytes)
        let dots = try reader.dots()
        try reader.finish()
        return dots
    }
}

// MARK: Whole entries

extension Entry {
    /// The most bytes that the payload of an entry from a peer may have.
    public static let payloadLimit = 16 << 20

    private static let digestByteCount = 32

    /// Appends the whole entry: `encodedLength` bytes. The payload must be within `payloadLimit`.
    public func append(to out: inout ByteBuffer) {
        appendHeader(to: &out)
        out.appendFixed(hash.high)
        out.appendFixed(hash.low)
        out.append(flags.contains(.redacted) ? 1 : 0)
        payload.span.withUnsafeBytes { out.appendCounted($0) }
    }

    /// How many bytes `append` writes. O(dependencies).
    public var encodedLength: Int {
        var length = 4 + 8 + 8 + dot.seq.varintLength + UInt64(dependencies.count).varintLength
        for dependency in dependencies { length += 8 + dependency.seq.varintLength }
        length += UInt64(room.byteCount).varintLength + room.byteCount
        return length + 16 + 1 + UInt64(payload.count).varintLength + payload.count
    }

    /// Reads what `append` writes. The payload is not looked into: it may be of any kind and version.
    public init(decoding reader: inout ByteReader) throws(EntryCodecError) {
        try self.init(header: &reader)
        hash = EntryHash(high: try reader.fixed(), low: try reader.fixed())
        switch try reader.byte() {
        case 0: break
        case 1: flags.insert(.redacted)
        default: throw .invalidField
        }
        let bytes = try reader.counted()
        guard bytes.count <= Entry.payloadLimit else { throw .tooLarge }
        payload = [UInt8](bytes)
    }

    /// The id that the erased payload had of its own; nil where it had none, or where the payload isn't erased.
    public var redactedMessageID: MessageID? {
        guard flags.contains(.redacted), payload.count == Entry.digestByteCount + 16 else { return nil }
        return payload.span.withUnsafeBytes { bytes in
            MessageID(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: Entry.digestByteCount, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: Entry.digestByteCount + 8, as: UInt64.self)))
        }
    }
}

// MARK: Payloads

/// The version of the payloads' layouts that this build writes.
let payloadVersion: UInt8 = 1

/// The fields of a message's payload where they lie, for who needs no copies of them.
struct MessagePayloadView {
    var id: MessageID?
    var user: UnsafeRawBufferPointer
    var displayName: UnsafeRawBufferPointer
    var body: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) throws(EntryCodecError) {
        var reader = ByteReader(bytes)
        try reader.version()
        id = try reader.optionalID(present: try reader.byte())
        user = try reader.counted()
        displayName = try reader.counted()
        body = try reader.counted()
        try reader.finish()
    }

    /// The same, if all of its texts are UTF-8.
    init(checked bytes: UnsafeRawBufferPointer) throws(EntryCodecError) {
        try self.init(bytes)
        guard user.isUTF8, displayName.isUTF8, body.isUTF8 else { throw .invalidText }
    }
}

/// The fields of a system event's payload where they lie.
struct SystemPayloadView {
    var event: SystemPayload.Event
    var id: MessageID?
    var number: UInt64 = 0
    var user: UnsafeRawBufferPointer
    var displayName: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) throws(EntryCodecError) {
        var reader = ByteReader(bytes)
        try reader.version()
        let hasID = try reader.byte()
        guard let event = SystemPayload.Event(rawValue: try reader.byte()) else { throw .invalidField }
        self.event = event
        if hasID == 2 {
            id = try reader.optionalID(present: 1)
            number = try reader.varint()
            guard number > 0 else { throw .invalidField }
        } else {
            id = try reader.optionalID(present: hasID)
        }
        user = try reader.counted()
        displayName = try reader.counted()
        try reader.finish()
    }
}

extension MessagePayload {
    public func append(to out: inout ByteBuffer) {
        out.append(payloadVersion)
        out.append(id == nil ? 0 : 1)
        if let id { out.append(id) }
        out.appendCounted(user)
        out.appendCounted(displayName)
        body.withUnsafeBytes { out.appendCounted($0) }
    }

    public var encoded: [UInt8] {
        var out = ByteBuffer(capacity: 64 + user.byteCount + displayName.byteCount + body.count)
        append(to: &out)
        return out.array()
    }

    public init(decoding bytes: UnsafeRawBufferPointer) throws(EntryCodecError) {
        let view = try MessagePayloadView(bytes)
        guard let user = Text(validating: view.user), let displayName = Text(validating: view.displayName),
            view.body.isUTF8
        else { throw .invalidText }
        self.init(id: view.id, user: user, displayName: displayName, body: [UInt8](view.body))
    }
}

extension SystemPayload {
    public func append(to out: inout ByteBuffer) {
        precondition(number == 0 || id != nil, "event \(number) of \(user) without an id")
        out.append(payloadVersion)
        out.append(id == nil ? 0 : number == 0 ? 1 : 2)
        out.append(event.rawValue)
        if let id { out.append(id) }
        if number > 0 { out.appendVarint(number) }
        out.appendCounted(user)
        out.appendCounted(displayName)
    }

    public var encoded: [UInt8] {
        var out = ByteBuffer(capacity: 64 + user.byteCount + displayName.byteCount)
        append(to: &out)
        return out.array()
    }

    public init(decoding bytes: UnsafeRawBufferPointer) throws(EntryCodecError) {
        let view = try SystemPayloadView(bytes)
        guard let user = Text(validating: view.user), let displayName = Text(validating: view.displayName) else {
            throw .invalidText
        }
        self.init(event: view.event, id: view.id, user: user, displayName: displayName, number: view.number)
    }
}

extension RedactionPayload {
    public func append(to out: inout ByteBuffer) {
        out.append(payloadVersion)
        out.appendFixed(target.replica.rawValue)
        out.appendVarint(target.seq)
    }

    public var encoded: [UInt8] {
        var out = ByteBuffer(capacity: 19)
        append(to: &out)
        return out.array()
    }

    public init(decoding bytes: UnsafeRawBufferPointer) throws(EntryCodecError) {
        var reader = ByteReader(bytes)
        try reader.version()
        let target = Dot(replica: try reader.replica(), seq: try reader.varint())
        guard target.seq > 0 else { throw .invalidField }
        try reader.finish()
        self.init(target: target)
    }
}

// MARK: Pieces

extension UInt64 {
    /// How many bytes the number has as a varint.
    fileprivate var varintLength: Int { (70 &- (self | 1).leadingZeroBitCount) / 7 }
}

extension ByteBuffer {
    fileprivate mutating func append(_ id: MessageID) {
        appendFixed(id.high)
        appendFixed(id.low)
    }

    /// 0, -1, 1, -2, 2 … as 0, 1, 2, 3, 4 …, so that small amounts are short whichever sign they have.
    mutating func appendZigzag(_ value: Int64) {
        appendVarint(UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)))
    }
}

extension ByteReader {
    @inline(__always)
    mutating func version() throws(EntryCodecError) {
        let version = try byte()
        guard version == payloadVersion else { throw .unknownVersion(version) }
    }

    mutating func zigzag() throws(EntryCodecError) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: (value &>> 1) ^ (0 &- (value & 1)))
    }

    @inline(__always)
    fileprivate mutating func optionalID(present: UInt8) throws(EntryCodecError) -> MessageID? {
        switch present {
        case 0: return nil
        case 1: return MessageID(high: try fixed(), low: try fixed())
        default: throw .invalidField
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes are UTF-8 (RFC 3629).
    var isUTF8: Bool {
        withMemoryRebound(to: UInt8.self) { (try? UTF8Span(validating: $0.span)) != nil }
    }
}

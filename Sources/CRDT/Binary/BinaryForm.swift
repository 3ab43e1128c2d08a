// How the states and deltas of this module are written as bytes.
//
//     +---------+------+----------------+
//     | version | kind | body           |
//     +---------+------+----------------+
//       1 byte    1 byte
//
// The version is that of the whole layout, now 1: a reader refuses all others. The kind says of which type the body is,
// so that a delta is never read as a state. What stands inside another (an element, a register in a map) has neither.
//
// The form is canonical: equal values have equal bytes, in every process, and a reader refuses all but these bytes. So
// bytes can be hashed, compared and signed in place of values.
//
//     number       LEB128 (as in DWARF 5, section 7.6), in its shortest form; a signed one is zigzag-coded first
//     timestamp    8 bytes, the most significant first
//     text, bytes  their number, then they
//     replica      a number below those named so far: that one; just as many as named so far: a new one, in 8 bytes
//     dot          replica, seq
//     dots         their number, then they, sorted
//     vector       as dots: of each replica the highest that is covered
//     context      vector, then the cloud as dots
//     element, key as its type has it, with replicas of its own
//     OR-Set       context, then store: the number of elements, then of each itself and its dots, sorted by the bytes
//     its delta    the number of elements, then of each itself, dots that stand, dots that are gone; sorted likewise
//     writes       their number, then of each dot and value, sorted by dot
//     MVRegister   context, then writes; likewise ResettableCounter and Observed
//     their delta  writes that stand, dots that are gone
//     OR-Map       context, then store: the number of keys, then of each itself and its value's store, sorted by the bytes
//     its delta    the number of keys, then of each itself and its value's delta, sorted likewise
//     LWWRegister  0 never written; 1 cleared, or 2 set: timestamp, replica; if 2 the value
//     GCounter     as vector, with totals for seqs
//     PNCounter    increments, decrements, each a GCounter
//
// Naming a replica is what most of a dot would be (8 bytes, random); so it is named once, and is one byte from then on.

/// A type that can be written into the body of a binary form, and read from it. Elements, keys and values adopt it.
///
/// A type of one's own writes its parts one after the other, and reads them so:
///
///     struct Point: Hashable, BinaryCodable {
///         var x, y: Int32
///         func encode(into writer: inout BinaryWriter) {
///             x.encode(into: &writer)
///             y.encode(into: &writer)
///         }
///         init(from reader: inout BinaryReader) throws(BinaryError) {
///             (x, y) = (try Int32(from: &reader), try Int32(from: &reader))
///         }
///     }
///
/// Two laws are the type's own to keep: equal values write equal bytes, and reading refuses bytes that writing would not
/// have made.
public protocol BinaryCodable {
    /// Writes the value behind what `writer` holds.
    func encode(into writer: inout BinaryWriter)

    /// Reads a value, and leaves `reader` behind it.
    init(from reader: inout BinaryReader) throws(BinaryError)
}

/// A type whose values stand alone as bytes, with the layout's version and the type's kind before them.
public protocol BinaryForm: BinaryCodable {
    /// Tells the type's bytes from those of others. Kinds from 0x80 on are left to other modules.
    static var kind: UInt8 { get }
}

/// The version of the layout that is written and read here.
public let binaryFormVersion: UInt8 = 1

extension BinaryForm {
    /// The value as bytes. O(n log n) where it has n elements to sort.
    @inlinable
    public func encoded() -> [UInt8] {
        var writer = BinaryWriter()
        writer.append(byte: binaryFormVersion)
        writer.append(byte: Self.kind)
        encode(into: &writer)
        return writer.bytes
    }

    /// Reads what `encoded` wrote, from bytes that may be anything. O(n).
    ///
    /// Takes memory in proportion to `bytes` only. Throws `BinaryError` for anything but the bytes of one value.
    @inlinable
    public init(decoding bytes: [UInt8]) throws(BinaryError) {
        var reader = BinaryReader(bytes)
        let version = try reader.byte()
        guard version == binaryFormVersion else { throw .unknownVersion(version) }
        let kind = try reader.byte()
        guard kind == Self.kind else { throw .wrongKind(kind) }
        self = try Self(from: &reader)
        try reader.finish()
    }
}

/// A piece of UTF-8 text that is equal to another only byte by byte.
///
/// Swift's `String` compares by canonical equivalence ("é" in one or two scalars is one string); databases, other
/// languages and the wire do not. Names of rooms, users and documents and the elements of sets are therefore `Text`:
/// the same two names are equal on every node, in every store, and sort alike.
public struct Text: Hashable, Comparable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    public let string: String

    public init(_ string: String) {
        var string = string
        string.makeContiguousUTF8()
        self.string = string
    }

    public init(stringLiteral value: String) { self.init(value) }

    /// The bytes must be UTF-8; what is not is repaired with U+FFFD.
    public init(decoding bytes: some Collection<UInt8>) { self.init(String(decoding: bytes, as: UTF8.self)) }

    public var description: String { string }
    public var isEmpty: Bool { string.isEmpty }

    /// The length in UTF-8 bytes: what all limits on text count.
    public var byteCount: Int { string.utf8.count }

    @inlinable
    public func withUTF8<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        // Contiguous since init, so this never copies more than a small string's 15 bytes.
        string.utf8.withContiguousStorageIfAvailable(body)!
    }

    public static func == (a: Text, b: Text) -> Bool {
        guard a.byteCount == b.byteCount else { return false }
        return a.withUTF8 { x in b.withUTF8 { y in firstDifference(x, y) == nil } }
    }

    public static func < (a: Text, b: Text) -> Bool {
        a.withUTF8 { x in
            b.withUTF8 { y in
                guard let at = firstDifference(x, y) else { return x.count < y.count }
                return x[at] < y[at]
            }
        }
    }

    /// The first place where the two differ within the length of the shorter one; eight bytes at a time, since sorting the
    /// elements of a large set is little else than this.
    private static func firstDifference(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Int? {
        let count = min(a.count, b.count)
        let x = UnsafeRawBufferPointer(a)
        let y = UnsafeRawBufferPointer(b)
        var at = 0
        while at + 8 <= count {
            let difference =
                x.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                ^ y.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            if difference != 0 { return at + UInt64(littleEndian: difference).trailingZeroBitCount / 8 }
            at += 8
        }
        while at < count {
            if a[at] != b[at] { return at }
            at += 1
        }
        return nil
    }

    public func hash(into hasher: inout Hasher) {
        withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(UInt8(0xFF))
    }
}

/// Why bytes are not the binary form of a value.
public enum BinaryError: Error, Hashable, Sendable {
    /// The bytes end before the value does, or count more than they can hold.
    case truncated
    /// The value ends before the bytes do.
    case trailingBytes
    /// A layout that is not known here: that of a newer version, or no binary form at all.
    case unknownVersion(UInt8)
    /// A binary form of another type.
    case wrongKind(UInt8)
    /// A number too large for its type, or for what it counts.
    case outOfRange
    /// Text that is not UTF-8.
    case invalidText
    /// A value written otherwise than it would be here: not sorted, a part twice, longer than it need be.
    case notCanonical
    /// Parts that can't be of one state: a dot that stands outside of the context, or is both standing and gone.
    case inconsistent
}

extension BinaryError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated: "the bytes end before the value does"
        case .trailingBytes: "there are bytes behind the value"
        case .unknownVersion(let version): "layout version \(version) is not known here, only \(binaryFormVersion)"
        case .wrongKind(let kind): "this is a value of kind \(kind), another type than was asked for"
        case .outOfRange: "a number is too large for its place"
        case .invalidText: "a text is not UTF-8"
        case .notCanonical: "a part is not written in its one form (sorted, nothing twice, as short as can be)"
        case .inconsistent: "the parts can't be of one state"
        }
    }
}

/// Why bytes from another node are no frame.
///
/// All but `unknownKind` are the end of the link: what follows in the stream can't be trusted.
public enum PeerFrameError: Error, Hashable, Sendable {
    /// The bytes end before the frame does; on a link, where its length is known, a violation too.
    case truncated
    /// There is more in the frame than its kind has.
    case trailingBytes
    /// The frame says that it has so many bytes, more than the receiver takes now.
    case tooLong(UInt64)
    /// A number in more bytes than it needs, or of more than 64 bits.
    case invalidNumber
    /// Not UTF-8.
    case invalidText
    /// A node calls itself, its address or its cluster something with a control character in it.
    case controlCharacter
    /// A text over its limit, of so many bytes: `PeerLimits`.
    case textTooLong(Int)
    /// A list of more elements than `PeerLimits.count`.
    case tooMany(UInt64)
    /// A field has a value that its kind doesn't give it, or a form that isn't its shortest.
    case invalidField
    /// A replica of all zeros or all ones, which no replica is: `ReplicaID.init(assigned:)`.
    case nobodysReplica(UInt64)
    /// A list that is to be sorted is not, or says something twice.
    case unsorted
    /// A kind of a newer minor version, to be skipped: `PeerFrameReader` does.
    case unknownKind(UInt8)
    /// A kind that only a newer major version has: the two sides can't talk.
    case unknownMajor(UInt8)
    /// An entry whose header is of a newer version: it can't be put into its replica's chain here.
    case unknownEntryVersion(UInt8)

    init(_ error: EntryCodecError) {
        switch error {
        case .truncated: self = .truncated
        case .trailingBytes: self = .trailingBytes
        case .invalidNumber: self = .invalidNumber
        case .invalidText: self = .invalidText
        case .unknownVersion(let version): self = .unknownEntryVersion(version)
        case .invalidField, .unknownDelta, .unknownKind, .redacted, .notShown, .tooLarge: self = .invalidField
        }
    }
}

/// What a frame may hold. Who writes one keeps to this: the other side refuses what goes beyond.
public enum PeerLimits {
    /// The longest frame between nodes that know each other, in bytes behind the length.
    public static let frame = 20 << 20
    /// The longest frame of a stranger: enough for a hello.
    public static let hello = 4 << 10
    /// The longest name of a cluster or a node, and the longest address, in bytes.
    public static let name = 256
    /// The longest name of a room or a user, and the longest display name, in bytes.
    public static let room = 4 << 10
    /// The longest name of a document, in bytes.
    public static let document = 64 << 10
    /// The most elements of one list.
    public static let count = 1 << 20
}

/// Bytes that must never be printed: whatever describes, interpolates or dumps a `Secret` shows stars.
public struct Secret: Hashable, Sendable {
    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) { self.bytes = bytes }
    public init(_ text: String) { bytes = Array(text.utf8) }

    public var isEmpty: Bool { bytes.isEmpty }
}

extension Secret {
    /// Why what was written is no secret.
    struct Unusable: Error {
        let reason: String
    }

    /// A secret as people and tools write it down, in a variable or a file: without the line end that they put behind it.
    /// So it is the same secret wherever it stands. A byte order mark in front is refused rather than cut: another program
    /// that signs with it does not cut it.
    init(written: [UInt8]) throws(Unusable) {
        var bytes = written
        while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
        for mark in [[0xEF, 0xBB, 0xBF], [0xFE, 0xFF], [0xFF, 0xFE]] as [[UInt8]] where bytes.starts(with: mark) {
            throw Unusable(reason: "it begins with a byte order mark: write it as plain text without one")
        }
        guard !bytes.isEmpty else { throw Unusable(reason: "it is empty") }
        guard bytes.contains(where: { $0 > 0x20 && $0 != 0x7F }) else {
            throw Unusable(reason: "there is nothing but blanks in it")
        }
        guard bytes.count <= 4_096 else { throw Unusable(reason: "it has more than 4096 bytes") }
        self.init(bytes)
    }

    /// What is wrong with a secret that tokens are signed with, as the end of a sentence; nil where it is long enough. A
    /// key of HS256 has at least as many bits as its hash (RFC 7518, section 3.2): shorter ones are found by trying, from any one token.
    var weakness: String? {
        bytes.count < 32 ? "the secret has under 32 bytes and can be guessed: `converge secret` makes a good one" : nil
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// How every secret is shown; the length is not told either.
    public static let mask = "********"

    public var description: String { Self.mask }
    public var debugDescription: String { Self.mask }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

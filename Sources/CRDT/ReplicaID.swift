/// The name of one replica: one data directory, whose log it owns.
///
/// Random, 64 bits, and used once: a copied or restored directory goes on under a new one, so that two writers never
/// share a log. Written as 16 lowercase hexadecimal digits, whose text order is the order of the numbers.
public struct ReplicaID: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The id that another machine, or a random number, gives a replica; nil for all zeros and all ones, which are nobody's.
    ///
    /// A field that was never set, or erased, reads as one of the two. No replica draws them, and whoever calls itself so is
    /// refused, in every frame of a peer.
    public init?(assigned rawValue: UInt64) {
        guard rawValue != 0, rawValue != .max else { return nil }
        self.init(rawValue: rawValue)
    }

    /// Stands where no replica is known; no log is its.
    package static let nobody = ReplicaID(rawValue: 0)

    public static func < (a: ReplicaID, b: ReplicaID) -> Bool { a.rawValue < b.rawValue }
}

extension ReplicaID: CustomStringConvertible {
    public var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// Reads exactly 16 hexadecimal digits; anything else is nil.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == 16, text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let value = UInt64(text, radix: 16)
        else { return nil }
        self.init(rawValue: value)
    }
}

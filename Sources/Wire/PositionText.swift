import ConvergeCRDT

/// `pos`: a position as text whose order, byte by byte, is the order of positions.
///
/// ```
/// 018f3c5a1b2c0000 00000000deadbeef 2 3e8
/// timestamp, 16    replica, 16      │ └ seq, without leading zeros
/// digits           digits           └ number of digits of seq, less one
/// ```
/// All digits are lowercase hexadecimal, without spaces. A seq that is greater has more digits, or as many and a greater
/// text; so its length stands before it. Each position has just one text, and nothing else is read as one.
extension Position {
    /// The length of the longest text.
    public static let longestText = 49

    /// Appends the text, 34 to 49 bytes.
    public func appendText(to out: inout ByteBuffer) {
        out.appendHexadecimal(timestamp.rawValue)
        out.appendHexadecimal(dot.replica.rawValue)
        let digits = max(1, (67 - dot.seq.leadingZeroBitCount) / 4)
        let room = out.reserve(17)
        room[0] = Hexadecimal.digit(UInt8(truncatingIfNeeded: digits - 1))
        var rest = dot.seq
        for at in stride(from: digits, to: 0, by: -1) {
            room[at] = Hexadecimal.digit(UInt8(truncatingIfNeeded: rest & 0xF))
            rest >>= 4
        }
        out.commit(digits + 1)
    }

    public var text: Text {
        var out = ByteBuffer(capacity: Position.longestText)
        appendText(to: &out)
        return Text(decoding: out.bytes)
    }

    /// Nil for what no position is written as.
    public init?(text bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 34, let last = Hexadecimal.value(ofLowercase: bytes[32]),
            bytes.count == 34 + Int(last), last == 0 || bytes[33] != UInt8(ascii: "0"),
            let timestamp = Hexadecimal.number(UnsafeRawBufferPointer(rebasing: bytes[..<16])),
            let replica = Hexadecimal.number(UnsafeRawBufferPointer(rebasing: bytes[16..<32])),
            let seq = Hexadecimal.number(UnsafeRawBufferPointer(rebasing: bytes[33...]))
        else { return nil }
        self.init(
            timestamp: HybridTimestamp(rawValue: timestamp), dot: Dot(replica: ReplicaID(rawValue: replica), seq: seq))
    }

    public init?(_ text: Text) {
        guard let position = text.withUTF8({ Position(text: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = position
    }
}

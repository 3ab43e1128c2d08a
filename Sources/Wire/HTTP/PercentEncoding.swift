/// Percent-encoding of text in URLs. RFC 3986, section 2.1; the plus sign for a space is the one thing taken over from
/// HTML's forms, since every client library writes queries so.

/// Why an encoded text can't be read.
public enum PercentDecodingError: Error, Hashable, Sendable {
    /// A percent sign without two hexadecimal digits behind it.
    case invalidEscape
    /// The bytes are not UTF-8.
    case invalidUTF8
}

public enum PercentEncoding {
    /// The text that `bytes` encode. O(count).
    public static func decode(
        _ bytes: UnsafeRawBufferPointer, plusIsSpace: Bool = false
    ) throws(PercentDecodingError) -> Text {
        let plain = !bytes.contains { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }
        if plain { return try text(bytes) }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var at = 0
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "%"):
                guard at + 2 < bytes.count, let high = digit(bytes[at + 1]), let low = digit(bytes[at + 2]) else {
                    throw .invalidEscape
                }
                decoded.append(high << 4 | low)
                at += 3
            case UInt8(ascii: "+") where plusIsSpace:
                decoded.append(0x20)
                at += 1
            case let byte:
                decoded.append(byte)
                at += 1
            }
        }
        guard decoded.withUnsafeBytes(UTF8Validator.isValid) else { throw .invalidUTF8 }
        return Text(decoding: decoded)
    }

    /// Appends `text` so that it may stand anywhere in a URL: all but unreserved characters are escaped. O(count).
    public static func append(_ text: Text, to buffer: inout ByteBuffer) {
        let digits: StaticString = "0123456789ABCDEF"
        let place = buffer.reserve(text.byteCount * 3)
        let written = text.withUTF8 { utf8 in
            var at = 0
            for byte in utf8 {
                if ByteSet.unreserved.contains(byte) {
                    place[at] = byte
                    at += 1
                } else {
                    place[at] = UInt8(ascii: "%")
                    place[at + 1] = digits.utf8Start[Int(byte >> 4)]
                    place[at + 2] = digits.utf8Start[Int(byte & 15)]
                    at += 3
                }
            }
            return at
        }
        buffer.commit(written)
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) throws(PercentDecodingError) -> Text {
        guard UTF8Validator.isValid(bytes) else { throw .invalidUTF8 }
        return Text(decoding: bytes)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}

/// The query of a URL: `name=value` pairs between ampersands, as HTML's forms write it (WHATWG URL, section 5).
enum Query {
    /// The decoded value of the first pair of this name. Pairs whose own name can't be read are passed over, as are all
    /// values but the wanted one.
    static func first(
        _ name: StaticString, in query: UnsafeRawBufferPointer
    ) throws(PercentDecodingError) -> Text? {
        var start = 0
        while start < query.count {
            var end = start
            var equals: Int?
            while end < query.count, query[end] != UInt8(ascii: "&") {
                if equals == nil, query[end] == UInt8(ascii: "=") { equals = end }
                end += 1
            }
            let key = UnsafeRawBufferPointer(rebasing: query[start..<(equals ?? end)])
            if matches(key, name) {
                let value = equals.map { UnsafeRawBufferPointer(rebasing: query[($0 + 1)..<end]) }
                guard let value else { return "" }
                return try PercentEncoding.decode(value, plusIsSpace: true)
            }
            start = end + 1
        }
        return nil
    }

    private static func matches(_ key: UnsafeRawBufferPointer, _ name: StaticString) -> Bool {
        let wanted = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        if key.elementsEqual(wanted) { return true }
        guard key.contains(UInt8(ascii: "%")) || key.contains(UInt8(ascii: "+")) else { return false }
        guard let decoded = try? PercentEncoding.decode(key, plusIsSpace: true) else { return false }
        return decoded.withUTF8 { $0.elementsEqual(wanted) }
    }
}

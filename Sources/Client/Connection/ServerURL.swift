/// Where a chat server is: `ws://host:port/path`, or `wss://` for TLS. `http://` and `https://` mean the same, since that
/// is what servers log; a host alone is taken as `ws://host`.
public struct ServerURL: Hashable, Sendable {
    /// A name or an address, without the brackets of IPv6.
    public let host: String
    public let port: UInt16
    /// Over TLS.
    public let isSecure: Bool
    /// The path with the query it came with: `/ws` where none was given.
    public let target: String

    public enum Problem: Error, Hashable, Sendable {
        case unreadable

        public var message: String { "is not a server's address: write ws://host:port or wss://host:port" }
    }

    public init(_ text: String) throws(Problem) {
        // What follows goes into a request line: nothing in it may be a blank, a control character or not ASCII.
        guard text.utf8.count <= 2_048, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw .unreadable }
        var rest = Substring(text)
        var isSecure = false
        if let colon = text.firstRange(of: "://") {
            switch text[..<colon.lowerBound].lowercased() {
            case "ws", "http": break
            case "wss", "https": isSecure = true
            default: throw .unreadable
            }
            rest = text[colon.upperBound...]
        }
        rest = rest.prefix { $0 != "#" }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        var path = String(rest[end...])
        if path.isEmpty || path == "/" { path = "/ws" }
        if path.hasPrefix("?") { path = "/ws" + path }
        if path.hasPrefix("/?") { path = "/ws" + path.dropFirst() }
        target = path
        self.isSecure = isSecure
        (host, port) = try Self.authority(rest[..<end], default: isSecure ? 443 : 80)
    }

    private static func authority(
        _ text: Substring, default standard: UInt16
    ) throws(Problem) -> (String, UInt16) {
        guard !text.contains("@") else { throw .unreadable }
        var name = text
        var port = standard
        if text.hasPrefix("[") {
            guard let bracket = text.firstIndex(of: "]") else { throw .unreadable }
            name = text[text.index(after: text.startIndex)..<bracket]
            let after = text[text.index(after: bracket)...]
            guard name.contains(":"), after.isEmpty || after.hasPrefix(":") else { throw .unreadable }
            if !after.isEmpty { port = try number(after.dropFirst()) }
        } else if let colon = text.lastIndex(of: ":") {
            name = text[..<colon]
            guard !name.contains(":") else { throw .unreadable }
            port = try number(text[text.index(after: colon)...])
        }
        guard (1...253).contains(name.utf8.count) else { throw .unreadable }
        return (String(name), port)
    }

    private static func number(_ text: Substring) throws(Problem) -> UInt16 {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            let port = UInt16(text), port > 0
        else { throw .unreadable }
        return port
    }

    /// As it stands in a `Host` header.
    public var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The target with one more query field, percent-encoded (RFC 3986: everything but unreserved characters).
    public func target(adding name: String, _ value: String) -> String {
        "\(target)\(target.contains("?") ? "&" : "?")\(name)=\(Self.encoded(value))"
    }

    /// Percent-encoded for a query.
    static func encoded(_ value: String) -> String {
        var encoded = ""
        for byte in value.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (digits.count == 1 ? "0" + digits : digits)
            }
        }
        return encoded
    }
}

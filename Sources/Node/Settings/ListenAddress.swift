import ConvergeTransport

/// Where to listen, as text: `host:port`, `:8080` (every IPv4 address of the machine), `[::1]:8080`.
///
/// This only says whether a host can be one; whether there is such a host is found out by binding to it.
struct ListenAddress: Hashable, Sendable {
    /// Without the brackets of an IPv6 address.
    var host: String
    var port: UInt16

    init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    static let accepted = "must be host:port, :port or [IPv6]:port, with a port from 0 to 65535"

    /// Nil for anything but an address with a port. An IPv6 address without brackets is ambiguous, so none is read.
    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Self.port(text[text.index(after: colon)...]) else {
            return nil
        }
        let name = text[..<colon]
        if name.isEmpty {
            self.init(host: "0.0.0.0", port: port)
        } else if let host = Self.host(String(name)), name.hasPrefix("[") || !host.contains(":") {
            self.init(host: host, port: port)
        } else {
            return nil
        }
    }

    /// A port is one to five digits, nothing else: no sign, no blank.
    static func port(_ text: some StringProtocol) -> UInt16? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return UInt16(text)
    }

    /// The host in `text`, its brackets taken off; nil where it can't be a name or an address.
    static func host(_ text: String) -> String? {
        var name = text
        if name.hasPrefix("["), name.hasSuffix("]") {
            name = String(name.dropFirst().dropLast())
            guard name.contains(":") else { return nil }
        }
        guard (1...253).contains(name.utf8.count) else { return nil }
        if name.contains(":") { return isIPv6(name) ? name : nil }
        let allowed = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"): true
            default: false
            }
        }
        return allowed && !name.hasPrefix("-") && !name.hasPrefix(".") ? name : nil
    }

    /// Looks like one: hexadecimal groups and at least two colons, a zone at the end allowed (`fe80::1%eth0`).
    private static func isIPv6(_ text: String) -> Bool {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 1 || !parts[1].isEmpty else { return false }
        let address = parts[0]
        let plausible = address.utf8.allSatisfy { byte in
            byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".") || Character(Unicode.Scalar(byte)).isHexDigit
        }
        return plausible && address.utf8.count { $0 == UInt8(ascii: ":") } >= 2
    }

    /// Written as an address which is not loopback; of a name that is not known here.
    var isBeyondLoopback: Bool {
        SocketAddress.literal(host: host, port: port).map { !$0.isLoopback } ?? false
    }

    var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

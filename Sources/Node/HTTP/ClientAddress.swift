import ConvergeTransport
import ConvergeWire

/// Where a client is: at the other end of its connection; or, where that is a proxy which is trusted, where the proxy says.
///
/// `X-Forwarded-For` is a list to which each proxy appends who it was asked by. Whatever stands left of the first address
/// that is nobody trusted may have been made up by that client, so the list is read from its end (RFC 7239, section 8.1,
/// says why of the header that should have replaced this one).
enum ClientAddress {
    /// More hops than anybody has.
    private static let hops = 16

    /// - Parameters:
    ///   - peer: the other end of the connection.
    ///   - forwarded: the values of `X-Forwarded-For`, in order.
    ///   - trusted: the proxies that are believed; none by default.
    static func of(peer: IPAddress, forwarded: [Text], trusted: [IPRange]) -> IPAddress {
        func isTrusted(_ address: IPAddress) -> Bool { trusted.contains { $0.contains(address) } }
        guard isTrusted(peer) else { return peer }
        var client = peer
        let names = forwarded.flatMap { $0.string.split(separator: ",", omittingEmptySubsequences: false) }
        for name in names.reversed().prefix(hops) {
            // What can't be read was not written by a proxy that is understood: who wrote it is all that is known.
            guard let address = address(in: String(name)) else { return client }
            client = address
            if !isTrusted(address) { return client }
        }
        return client
    }

    /// `203.0.113.7`, `2001:db8::1`; some proxies add the port: `203.0.113.7:4711`, `[2001:db8::1]:4711`.
    private static func address(in text: String) -> IPAddress? {
        let text = text.trimmed
        if let address = IPAddress(text) { return address }
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            return IPAddress(String(text[text.index(after: text.startIndex)..<end]))
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 ? IPAddress(String(parts[0])) : nil
    }
}

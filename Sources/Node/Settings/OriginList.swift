import ConvergeTransport

/// The origins of web pages that may connect (RFC 6454): `https://chat.example.org,http://localhost:3000`, or `*`.
///
/// A browser's `Origin` is compared byte by byte with the list. So an entry that no browser ever writes is refused rather
/// than kept: whoever wrote it believes that it lets somebody in, and it shuts everybody out. What browsers write is the
/// serialization of the WHATWG's URL standard: in lower case and ASCII, without the scheme's own port, without a path.
struct OriginList: Sendable {
    /// Nil: every origin, and requests without one.
    let origins: [String]?

    /// Why a list can't be used, as the end of a sentence.
    struct Refusal: Error, Hashable {
        let problem: String
    }

    static let accepted = "must be * or a comma-separated list of origins such as https://chat.example.org"

    private static let limit = 1_000

    init(_ text: String) throws(Refusal) {
        let items = text.split(separator: ",").map(\.trimmed).filter { !$0.isEmpty }
        guard !items.isEmpty else { throw Refusal(problem: Self.accepted + "; there is no origin in it") }
        guard items.count <= Self.limit else { throw Refusal(problem: "must be at most \(Self.limit) origins") }
        if items.contains("*") {
            origins = nil
            return
        }
        var origins: [String] = []
        for item in items {
            let written = Self.serialized(item)
            guard written == item else {
                let shown = SettingsError.readable(item)
                guard let written else {
                    throw Refusal(
                        problem: "must hold origins as browsers send them, and \(shown) is none: https://HOST or "
                            + "https://HOST:PORT, in ASCII (xn--… for other letters), with a port up to 65535")
                }
                throw Refusal(
                    problem: "must hold origins as browsers send them, and \(shown) is none: write \(written)")
            }
            if !origins.contains(item) { origins.append(item) }
        }
        self.origins = origins
    }

    /// How a browser writes the origin that is meant; nil where there is none.
    private static func serialized(_ item: String) -> String? {
        let text = item.lowercased()
        // What a browser says of a sandboxed or local page.
        if text == "null" || text.hasPrefix("file:") { return "null" }
        guard text.utf8.count <= 512, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
            let colon = text.firstRange(of: "://"), let scheme = scheme(text[..<colon.lowerBound])
        else { return nil }
        let rest = text[colon.upperBound...]
        let authority = rest[..<(rest.firstIndex { "/?#\\".contains($0) } ?? rest.endIndex)]
        // Who logs in is no part of where a page is from.
        let place = authority[
            (authority.lastIndex(of: "@").map { authority.index(after: $0) } ?? authority.startIndex)...]
        var name = place
        var port = ""
        if let colon = place.lastIndex(of: ":"), place.last != "]" {
            name = place[..<colon]
            let digits = place[place.index(after: colon)...]
            guard let number = number(digits), number > 0 else { return nil }
            if number != ["http": 80, "https": 443][scheme] { port = ":\(number)" }
        }
        return host(String(name)).map { "\(scheme)://\($0)\(port)" }
    }

    /// Of the page, not of the socket that it opens.
    private static func scheme(_ text: Substring) -> String? {
        guard let first = text.utf8.first, (97...122).contains(first),
            text.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) || "+-.".utf8.contains($0) })
        else { return nil }
        return ["ws": "http", "wss": "https"][text] ?? String(text)
    }

    private static func number(_ digits: Substring) -> UInt16? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        let significant = digits.drop { $0 == "0" }
        return significant.isEmpty ? 0 : UInt16(significant)
    }

    private static func host(_ name: String) -> String? {
        if name.hasPrefix("["), name.hasSuffix("]") {
            let address = String(name.dropFirst().dropLast())
            guard address.contains(":"), !address.contains("%"),
                let written = SocketAddress.literal(host: address, port: 0)?.host, !written.contains(".")
            else { return nil }
            return "[\(written)]"
        }
        guard !name.isEmpty, name.utf8.count <= 253, !name.hasPrefix("."), !name.contains(".."),
            name.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) || "-._".utf8.contains($0) })
        else { return nil }
        // A name that ends in a number is an address in one of its forms, or nothing.
        let last = name.split(separator: ".").last ?? ""
        guard last.utf8.allSatisfy({ (48...57).contains($0) }) || last.hasPrefix("0x") else { return name }
        return SocketAddress.literal(host: name, port: 0)?.host
    }
}

/// The origins of web pages that may connect (RFC 6454): `https://chat.example.org,http://localhost:3000`, or `*`.
///
/// An entry that no browser can ever send (without a scheme, with a path) is refused rather than kept, since whoever
/// wrote it believes that it allows something.
struct OriginList: Sendable {
    /// Nil: every origin, and requests without one.
    let origins: [String]?

    static let accepted = "must be * or a comma-separated list of origins such as https://chat.example.org"

    init?(_ text: String) {
        let items = text.split(separator: ",").map(\.trimmed).filter { !$0.isEmpty }
        guard items.count <= 1_000 else { return nil }
        if items.isEmpty || items.contains("*") {
            origins = nil
            return
        }
        var origins: [String] = []
        for item in items {
            guard let origin = Self.origin(item) else { return nil }
            if !origins.contains(origin) { origins.append(origin) }
        }
        self.origins = origins
    }

    /// As browsers write it: lowercase, without a slash at the end.
    private static func origin(_ item: String) -> String? {
        let origin = (item.hasSuffix("/") ? String(item.dropLast()) : item).lowercased()
        // What a browser sends for a sandboxed or local page.
        if origin == "null" { return origin }
        guard origin.utf8.count <= 512, let range = origin.firstRange(of: "://") else { return nil }
        let scheme = origin[..<range.lowerBound]
        let authority = origin[range.upperBound...]
        guard let first = scheme.utf8.first, (97...122).contains(first), !authority.isEmpty else { return nil }
        let plain = authority.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
        return plain && !authority.contains { "/?#@*\"".contains($0) } ? origin : nil
    }
}

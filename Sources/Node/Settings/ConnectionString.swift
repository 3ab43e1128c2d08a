/// A PostgreSQL connection string, as far as a node must understand it: is it one, and where are its secrets.
///
/// libpq reads two forms: a URL (`postgres://user:password@host/db?sslmode=require`) and `key=value` pairs with
/// single-quoted values and backslash escapes. The invariant here is that `masked` never shows a password: text that is
/// not understood is hidden whole.
struct ConnectionString: Sendable {
    let text: String

    private static let secretKeys: Set<String> = ["password", "sslpassword", "oauth_client_secret"]

    /// Nil where it is neither form.
    init?(_ text: String) {
        self.text = text
        guard !text.utf8.contains(0), text.utf8.count <= 8_192 else { return nil }
        guard isURL || pairs != nil else { return nil }
    }

    static let accepted = "must be postgres://user@host:port/database or key=value pairs (host=… dbname=…)"

    /// Whether a password stands in it.
    var hasSecret: Bool { masked != text }

    /// The same with each password as stars.
    var masked: String { isURL ? maskedURL : maskedPairs }

    private var isURL: Bool { text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") }

    private var maskedURL: String {
        guard let slashes = text.firstRange(of: "://") else { return Secret.mask }
        let scheme = text[..<slashes.upperBound]
        var rest = String(text[slashes.upperBound...])
        // The user's part ends at the last @ before the query: an @ that someone forgot to escape in a password must
        // not show its second half. The same holds for a slash or a question mark in front of that @.
        if let at = rest.lastIndex(of: "@") {
            let user = rest[..<at]
            if let colon = user.firstIndex(of: ":") {
                rest = "\(user[..<colon]):\(Secret.mask)\(rest[at...])"
            }
        }
        guard let mark = rest.lastIndex(of: "?") else { return scheme + rest }
        let query = rest[rest.index(after: mark)...].split(separator: "&", omittingEmptySubsequences: false).map {
            field -> Substring in
            guard let equals = field.firstIndex(of: "=") else { return field }
            // A key may be percent-encoded, which nobody does but to hide it.
            let key = field[..<equals]
            let hidden = key.contains("%") || Self.secretKeys.contains(key.lowercased())
            return hidden ? field[...equals] + Secret.mask : field
        }
        return scheme + rest[...mark] + query.joined(separator: "&")
    }

    private var maskedPairs: String {
        guard let pairs else { return Secret.mask }
        return pairs.map { "\($0.key)=\(Self.secretKeys.contains($0.key.lowercased()) ? Secret.mask : $0.written)" }
            .joined(separator: " ")
    }

    /// The `key=value` pairs with their values as they are written; nil where it is not made of such.
    private var pairs: [(key: String, written: String)]? {
        var found: [(key: String, written: String)] = []
        var rest = Substring(text)
        while true {
            rest = rest.drop(while: \.isWhitespace)
            if rest.isEmpty { return found.isEmpty ? nil : found }
            guard let equals = rest.firstIndex(of: "=") else { return nil }
            let key = rest[..<equals].trimmed
            guard !key.isEmpty, key.utf8.allSatisfy({ $0 == UInt8(ascii: "_") || isLetter($0) }) else { return nil }
            rest = rest[rest.index(after: equals)...].drop(while: \.isWhitespace)
            guard let value = Self.takeValue(&rest) else { return nil }
            found.append((key, value))
        }
    }

    private func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte | 0x20) }

    /// Takes one value, quotes and escapes included; nil where a quote is not closed.
    private static func takeValue(_ rest: inout Substring) -> String? {
        var written = ""
        let quoted = rest.first == "'"
        if quoted { written.append(rest.removeFirst()) }
        while let character = rest.first {
            if !quoted && character.isWhitespace { return written }
            written.append(rest.removeFirst())
            if character == "\\" {
                guard let escaped = rest.popFirst() else { return quoted ? nil : written }
                written.append(escaped)
            } else if quoted && character == "'" {
                return written
            }
        }
        return quoted ? nil : written
    }
}

extension StringProtocol {
    /// Without blanks at both ends.
    var trimmed: String {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }
}

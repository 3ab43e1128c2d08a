import CPostgres

/// A PostgreSQL connection string, and what of it may be shown.
///
/// Invariant: neither `summary` nor any text that went through `redact` holds the password, also where the string is
/// malformed and libpq takes a piece of the password for something else (an unescaped `@` or `/` in a URL).
struct PostgresAddress: Sendable {
    let dsn: String
    /// Host, port and database; nothing else.
    let summary: String
    /// False where libpq can't read the string.
    let isReadable: Bool
    private let secrets: [String]
    /// The host seems to begin with a piece of the password: nothing that quotes it may be shown.
    private let hidesDetails: Bool

    init(_ dsn: String) {
        self.dsn = dsn
        var settings: [String: String] = [:]
        var complaint: UnsafeMutablePointer<CChar>?
        let options = PQconninfoParse(dsn, &complaint)
        if let complaint { PQfreemem(complaint) }
        if let options {
            var at = options
            while let keyword = at.pointee.keyword {
                if let value = at.pointee.val { settings[String(cString: keyword)] = String(cString: value) }
                at += 1
            }
            PQconninfoFree(options)
        }
        isReadable = options != nil
        secrets = ["password", "sslpassword"].compactMap { settings[$0] }.filter { !$0.isEmpty }
        let host = settings["host"] ?? settings["hostaddr"] ?? "local"
        let port = settings["port"] ?? "5432"
        hidesDetails = host.contains("@") || !port.utf8.allSatisfy { (48...57).contains($0) || $0 == 44 }
        if !isReadable || hidesDetails {
            summary = "postgres (connection string not shown)"
        } else {
            summary = "postgres \(host):\(port)/\(settings["dbname"] ?? settings["user"] ?? "")"
        }
    }

    /// One line of what libpq or the server said, without secrets.
    func redact(_ words: String) -> String {
        if hidesDetails { return "details left out: the connection string has a character that needs percent-encoding" }
        var line = words.split(whereSeparator: \.isNewline).joined(separator: " ")
        for secret in secrets { line = line.replacing(secret, with: "***") }
        return line
    }
}

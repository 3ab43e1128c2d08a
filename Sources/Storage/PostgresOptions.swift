import CPostgres

/// Whether libpq can read a connection string, and whether it reads in it what was meant; found out by libpq's own parser,
/// without connecting.
///
/// Invariant: no text of this holds a piece of a password. A password with a character that had to be escaped falls apart
/// into what looks like hosts, options and databases, so nothing of the string is repeated but the name of an option that
/// stands where no password can have spilled.
package enum PostgresOptions {
    private static let encoding =
        "must have the characters of its user and password percent-encoded that are no letters or digits "
        + "(@ is %40, : %3A, / %2F, ? %3F, # %23, % %25)"
    private static let quoting =
        "must be key=value pairs as libpq takes them: a value with blanks in single quotes, ' as \\' and \\ as \\\\"
    private static let sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

    /// What is wrong, as the end of a sentence ("must …"); nil where nothing is.
    package static func problem(in dsn: String) -> String? {
        let isURL = dsn.hasPrefix("postgres://") || dsn.hasPrefix("postgresql://")
        var complaint: UnsafeMutablePointer<CChar>?
        let parsed = PQconninfoParse(dsn, &complaint)
        defer { if let complaint { PQfreemem(complaint) } }
        guard let parsed else {
            if let option = unknownOption(in: dsn, isURL, complaint.map { String(cString: $0) } ?? "") {
                return "must not have the option \"\(option)\", which libpq does not know"
            }
            return isURL ? encoding : quoting
        }
        defer { PQconninfoFree(parsed) }
        var values: [String: String] = [:]
        var next = parsed
        while let keyword = next.pointee.keyword {
            if let value = next.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            next += 1
        }
        return problem(with: values, isURL, dsn.utf8.count { $0 == UInt8(ascii: "@") })
    }

    /// - Parameter count: how often there is an @ in the string.
    private static func problem(with values: [String: String], _ isURL: Bool, _ count: Int) -> String? {
        // The user's part ends at the first @ and the host's at the first /: what a password had of these is elsewhere.
        if isURL, ["port", "dbname"].contains(where: { values[$0]?.contains("@") ?? false }) { return encoding }
        // One @ may be the first letter of a socket's abstract name, written as %40.
        if isURL, values["host"]?.contains("@") ?? false, count > 1 { return encoding }
        if let ports = values["port"], !ports.isEmpty {
            let areNumbers = ports.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { port in
                port.isEmpty || UInt16(port).map { $0 > 0 } ?? false
            }
            // "user:pass/word@host": a piece of the password is where a port would be.
            if !areNumbers {
                return isURL ? encoding + ", and a port from 1 to 65535" : "must have a port from 1 to 65535"
            }
        }
        if let mode = values["sslmode"], !mode.isEmpty, !sslModes.contains(mode) {
            return "must have an sslmode of \(sslModes.joined(separator: ", "))"
        }
        return nil
    }

    /// The name that libpq complains about, where it is certain that it is no piece of a password.
    private static func unknownOption(in dsn: String, _ isURL: Bool, _ complaint: String) -> String? {
        let known = ["invalid connection option \"", "invalid URI query parameter: \""]
        guard let words = known.first(where: { complaint.contains($0) }),
            let name = complaint.firstRange(of: words).map({ complaint[$0.upperBound...].prefix { $0 != "\"" } }),
            !name.isEmpty, name.utf8.allSatisfy({ $0 == UInt8(ascii: "_") || (97...122).contains($0) }),
            let place = dsn.firstRange(of: "\(name)=")
        else { return nil }
        // Of a URL the password is before the last @, of pairs behind the name of its option.
        let mayHoldSecret =
            isURL
            ? dsn[place.lowerBound...].contains("@")
            : dsn[..<place.lowerBound].lowercased().contains("password") || dsn[..<place.lowerBound].contains("secret")
        return mayHoldSecret ? nil : String(name)
    }
}

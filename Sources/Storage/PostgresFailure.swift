/// What can go wrong on a connection, before it is known what it means for the store.
enum PostgresFailure: Error {
    /// The server refused a statement; the connection lives, its transaction is lost.
    case refused(SQLState, message: String, column: String?)
    /// The connection broke. `sent` tells that the last statement may have reached the server.
    case lost(String, state: SQLState?, sent: Bool)
    /// The deadline passed; the connection is closed.
    case timeout(sent: Bool)

    /// The statements can be repeated as they were: the server rolled them back for another's sake.
    var isSerialization: Bool {
        if case .refused(let state, _, _) = self { state == "40001" || state == "40P01" } else { false }
    }

    /// Two sessions made the same table, row or name at once; what was done has to be looked at again.
    var isRace: Bool {
        if case .refused(let state, _, _) = self {
            isSerialization || ["23505", "42P07", "42710", "XX000"].contains(state)
        } else {
            false
        }
    }

    /// - Parameter committing: whether the statements ended with a COMMIT.
    func storeError(committing: Bool) -> StoreError {
        switch self {
        case .refused(let state, let message, let column):
            Self.classify(state, message, column: column)
        case .lost(let message, _, true) where committing:
            .unknownOutcome(message)
        case .lost(let message, let state, _):
            state.map { Self.classify($0, message, column: nil) } ?? .unreachable(message)
        case .timeout(true) where committing:
            .unknownOutcome("no answer in time")
        case .timeout:
            .timeout("no answer in time")
        }
    }

    /// By PostgreSQL's Appendix A, "Error Codes".
    private static func classify(_ state: SQLState, _ message: String, column: String?) -> StoreError {
        switch state.rawValue {
        case "25006", "42501": .readOnly(message)
        case "42P01": .unreachable("no node has opened this database for writing yet: \(message)")
        case "53100", "54000": .full(message)
        case "XX001", "XX002": .corrupt(message)
        case "55P03": .locked(message)
        case "57014", "25P03", "25P04": .timeout(message)
        // Only the guard in PostgresWriter sets these two to NULL, when another holds the replica.
        case "23502" where column == "epoch": .fenced("the replica's row has another epoch")
        case "23502" where column == "head":
            .failed("the database's log does not end where this node's does, or lacks what the batch depends on")
        case let code where code.hasPrefix("08") || code.hasPrefix("28") || code.hasPrefix("57P"):
            .unreachable(message)
        case "3D000", "53300": .unreachable(message)
        default: .failed("\(message) (SQLSTATE \(state.rawValue))")
        }
    }
}

/// Five characters that say what is wrong.
struct SQLState: RawRepresentable, Hashable, ExpressibleByStringLiteral {
    let rawValue: String
    init(rawValue: String) { self.rawValue = rawValue }
    init(stringLiteral value: String) { rawValue = value }
}

/// What can be wrong with a store. The world's fault, always: a node reports it, degrades, and tries again.
public enum StoreError: Error, Hashable, Sendable {
    /// Another process holds the database, for longer than the timeout.
    case locked(String)
    case full(String)
    case readOnly(String)
    case corrupt(String)
    /// Made by a newer version of this program; `found` and `known` are schema versions.
    case newer(found: Int, known: Int)
    /// Can't be opened or reached.
    case unreachable(String)
    /// What is known to have been committed is not there, and nothing is begun in its place.
    case gone(String)
    case timeout(String)
    /// The connection broke while a commit was on its way: it may have happened.
    case unknownOutcome(String)
    /// The replica's row has another epoch than this process's: someone else has taken the replica over.
    case fenced(String)
    /// A sync to disk failed: what is stored is unknown, and this replica must not go on.
    case syncFailed(String)
    /// Anything else the database said.
    case failed(String)

    /// What is wrong, without saying with what: for readiness, status and metrics.
    public enum Kind: String, CaseIterable, Sendable {
        case locked, full, corrupt, newer, unreachable, gone, timeout, fenced, failed
        case readOnly = "read_only"
        case unknownOutcome = "unknown_outcome"
        case syncFailed = "sync_failed"

        /// For whoever has to mend it.
        public var words: String {
            switch self {
            case .locked: "the database is locked by another process"
            case .full: "the disk or the database is full"
            case .readOnly: "the database can't be written"
            case .corrupt: "the database is damaged, or not a database"
            case .newer: "the database was made by a newer converge"
            case .unreachable: "the database can't be reached"
            case .gone: "what was stored is not there"
            case .timeout: "the database took too long"
            case .unknownOutcome: "the connection was lost during a commit"
            case .fenced: "another process uses this node's replica"
            case .syncFailed: "a sync to disk failed"
            case .failed: "the database said no"
            }
        }
    }

    public var kind: Kind {
        switch self {
        case .locked: .locked
        case .full: .full
        case .readOnly: .readOnly
        case .corrupt: .corrupt
        case .newer: .newer
        case .unreachable: .unreachable
        case .gone: .gone
        case .timeout: .timeout
        case .unknownOutcome: .unknownOutcome
        case .fenced: .fenced
        case .syncFailed: .syncFailed
        case .failed: .failed
        }
    }

    /// One line for logs: what was wrong and what to do about it. Never contains a password or a message's body.
    public var message: String {
        switch self {
        case .newer(let found, let known):
            "the database has schema version \(found), this build knows \(known): use a newer converge"
        case .failed(let what): what
        case .locked(let what), .full(let what), .readOnly(let what), .corrupt(let what), .unreachable(let what),
            .gone(let what), .timeout(let what), .unknownOutcome(let what), .fenced(let what), .syncFailed(let what):
            "\(kind.words): \(what)"
        }
    }
}

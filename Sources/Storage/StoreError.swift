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
    case timeout(String)
    /// The connection broke while a commit was on its way: it may have happened.
    case unknownOutcome(String)
    /// The replica's row has another epoch than this process's: someone else has taken the replica over.
    case fenced(String)
    /// A sync to disk failed: what is stored is unknown, and this replica must not go on.
    case syncFailed(String)
    /// Anything else the database said.
    case failed(String)

    /// One line for logs: what was wrong and what to do about it. Never contains a password or a message's body.
    public var message: String {
        switch self {
        case .locked(let what): "the database is locked by another process: \(what)"
        case .full(let what): "the disk or the database is full: \(what)"
        case .readOnly(let what): "the database can't be written: \(what)"
        case .corrupt(let what): "the database is damaged, or not a database: \(what)"
        case .newer(let found, let known):
            "the database has schema version \(found), this build knows \(known): use a newer converge"
        case .unreachable(let what): "the database can't be reached: \(what)"
        case .timeout(let what): "the database took too long: \(what)"
        case .unknownOutcome(let what): "the connection was lost during a commit: \(what)"
        case .fenced(let what): "another process uses this node's replica: \(what)"
        case .syncFailed(let what): "a sync to disk failed: \(what)"
        case .failed(let what): what
        }
    }
}

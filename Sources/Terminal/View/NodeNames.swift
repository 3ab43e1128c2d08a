/// What nodes are called, by the replica that each writes; nodes tell it of all that they know (`GET /cluster`).
///
/// Bounds: `limit` names, and a server is asked again only `pause` after it was asked.
struct NodeNames: Hashable, Sendable {
    private static let limit = 256
    private static let pause: Int64 = 60_000

    private var names: [String: String] = [:]
    private var askedAt: [String: Int64] = [:]

    /// The name, or the beginning of the replica's id where it is not known.
    func words(_ replica: String) -> String { names[replica] ?? String(replica.prefix(8)) }

    /// Nil where it is not known.
    func name(of replica: String) -> String? { names[replica] }

    /// Whether the server is to be asked.
    /// - Parameter replica: whose name is wanted; nil: which node serves is not known yet.
    mutating func wants(_ server: String, for replica: String?, at now: Int64) -> Bool {
        if let replica, names[replica] != nil { return false }
        if let asked = askedAt[server], asked <= now, now - asked < Self.pause { return false }
        if askedAt.count >= Self.limit { askedAt = [:] }
        askedAt[server] = now
        return true
    }

    mutating func learn(_ told: [String: String]) {
        for (replica, name) in told where !name.isEmpty && (names.count < Self.limit || names[replica] != nil) {
            names[replica] = name
        }
    }
}

/// How things stand: what `/status` shows.
struct LineStatus: Hashable, Sendable {
    var room: String
    var userID: String
    /// The one that serves, or did last.
    var server: String
    /// Its replica.
    var node: String?
    var nodeName: String?
    var latency: Duration?
    var isLive: Bool
    /// Why it is not.
    var reason: String
    /// Messages that are not stored yet.
    var unsent: Int

    var words: String {
        var words = "\(userID) in \(room): "
        words +=
            isLive
            ? "live on \((nodeName ?? node.map { String($0.prefix(8)) }).map { "\($0), " } ?? "")\(server)"
            : "not connected: \(reason)"
        if let latency { words += ", \(latency.milliseconds) ms" }
        if unsent > 0 { words += ", \(unsent) unsent" }
        return words
    }
}

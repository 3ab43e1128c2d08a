import ConvergeClient

/// The attempts to get the first connection: each server is tried once, and there is no hope when none has worked.
struct FirstConnection {
    /// Why a server that was tried is left for another.
    static let sentAway = "the server sends its clients elsewhere"

    let servers: Int
    /// What came of those that did not work, for a person.
    private(set) var failures: [String] = []
    private var tried: [ServerURL] = []
    private var candidate: ServerURL?

    init(servers: Int) { self.servers = servers }

    /// All have been tried, or there was nothing to try.
    var isHopeless: Bool { tried.count >= servers || tried.isEmpty }

    mutating func tries(_ url: ServerURL) {
        if let candidate, candidate != url { failed(Self.sentAway) }
        if !tried.contains(url) { tried.append(url) }
        candidate = url
    }

    /// The server that is tried does not work; or none can be tried, for this reason.
    mutating func failed(_ reason: String) {
        failures.append(candidate.map { "can't connect to \($0.authority): \(reason)" } ?? reason)
        candidate = nil
    }
}

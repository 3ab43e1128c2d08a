import ConvergeClient
import ConvergeTransport

/// Asks a server what it and the nodes that it knows are called, and how long a message may be (`GET /cluster`).
enum NodeLookUp {
    private static let timeout = Duration.seconds(3)

    /// On a thread of its own, within about nine seconds; where nothing was learned, nobody is told.
    static func start(
        _ url: ServerURL, authorityFile: String?,
        then tell: @escaping @Sendable (_ names: [String: String], _ bodyLimit: Int?) -> Void
    ) {
        let thread = try? WorkerThread(name: "names") {
            guard let answer = ClusterProbe.ask([url], authorityFile: authorityFile, timeout: timeout).first,
                case .report(let report, _) = answer.outcome
            else { return }
            var names: [String: String] = [:]
            for peer in report.peers {
                if let replica = peer.replica { names["\(replica)"] = peer.name }
            }
            if let replica = report.replica { names["\(replica)"] = report.name }
            tell(names, report.bodyLimit)
        }
        thread?.detach()
    }
}

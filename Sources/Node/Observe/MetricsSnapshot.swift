/// What a node counts, as of one moment: the figures of `/metrics`, for a program that the node runs in.
///
/// It is read from the very text that `/metrics` answers, so that the two can't differ in what there is.
public struct MetricsSnapshot: Sendable {
    /// Prometheus's text exposition format, version 0.0.4.
    public let text: String

    /// One figure: `messages_total`, of the series `converge_messages_total`; where a name has several, told apart by
    /// labels, their sum. Nil for a name that is none. O(text).
    public subscript(name: String) -> Double? {
        var sum: Double?
        let wanted = "converge_" + name
        for line in text.split(separator: "\n") where line.hasPrefix(wanted) {
            let rest = line.dropFirst(wanted.count)
            guard rest.first == " " || rest.first == "{", let blank = rest.lastIndex(of: " "),
                let value = Double(rest[rest.index(after: blank)...])
            else { continue }
            sum = (sum ?? 0) + value
        }
        return sum
    }
}

extension ConvergeServer {
    /// The node's figures as of now; nil before the start. It costs about what a request for `/metrics` does.
    public func metricsSnapshot() -> MetricsSnapshot? { metrics.map { MetricsSnapshot(text: $0.exposition()) } }
}

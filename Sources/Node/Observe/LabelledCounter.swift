import Synchronization

/// Counts of one thing, told apart by a label. It takes a lock, so it is for what happens seldom.
///
/// Bound: labels beyond `limit` are counted together as `other`.
final class LabelledCounter: Sendable {
    private static let limit = 64

    private let counts: Mutex<[String: Int]>

    /// - Parameter known: labels that are shown from the beginning, so that their first increase is seen as one.
    init(_ known: [String]) {
        counts = Mutex(Dictionary(known.map { ($0, 0) }) { first, _ in first })
    }

    func add(_ amount: Int, _ label: String) {
        counts.withLock { counts in
            let name = counts[label] != nil || counts.count < Self.limit ? label : "other"
            counts[name, default: 0] += amount
        }
    }

    var current: [String: Int] { counts.withLock { $0 } }
}

import ConvergeWire
import Synchronization

/// Where the core's thread puts up how things stand, and where whoever is asked reads it.
///
/// So the core is never asked: however often somebody calls, it makes one snapshot a second. Its JSON is made by the first
/// reader who wants it, once.
final class StatusBoard: Sendable {
    /// Nanoseconds from one snapshot to the next, at least.
    private static let period: UInt64 = 1_000_000_000

    private struct Posted {
        var status: ClusterStatus
        /// In monotonic nanoseconds.
        var taken: UInt64
        var json: [UInt8]?
    }

    private let posted: Mutex<Posted?> = Mutex(nil)

    /// - Parameter now: monotonic nanoseconds.
    func put(_ status: ClusterStatus, at now: UInt64) {
        posted.withLock { $0 = Posted(status: status, taken: now) }
    }

    /// Whether it is time for another snapshot.
    /// - Parameter now: monotonic nanoseconds.
    func isDue(at now: UInt64) -> Bool {
        posted.withLock { posted in posted.map { now >= $0.taken + Self.period } ?? true }
    }

    /// Nil until the core has run.
    var latest: ClusterStatus? { posted.withLock { $0?.status } }

    /// What `/cluster` answers. The header `Age` says how many seconds ago it was so: when the core is stuck, it grows.
    /// - Parameter now: monotonic nanoseconds.
    func response(at now: UInt64) -> HTTPResponse {
        let found = posted.withLock { posted -> (json: [UInt8], age: UInt64)? in
            guard let held = posted else { return nil }
            let json = held.json ?? held.status.json()
            posted?.json = json
            return (json, (now - min(now, held.taken)) / 1_000_000_000)
        }
        guard let found else { return HTTPResponse(.unavailable, text: "the node is starting\n") }
        return HTTPResponse(
            .ok, headers: [HTTPHeader("Content-Type", "application/json"), HTTPHeader("Age", String(found.age))],
            body: found.json)
    }
}

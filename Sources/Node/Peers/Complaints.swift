/// Log lines about what strangers do, at most one of each kind in ten seconds: nobody can fill the log from outside. How
/// many were left out stands in the next one.
struct Complaints {
    private static let interval: UInt64 = 10_000_000_000

    private let log: Logger
    private var kinds: [String: (next: UInt64, left: Int)] = [:]

    init(log: Logger) { self.log = log }

    /// - Parameters:
    ///   - event: a fixed text; its kind.
    ///   - now: monotonic nanoseconds.
    mutating func write(_ event: String, address: String, _ reason: String = "", at now: UInt64) {
        let kind = kinds[event] ?? (0, 0)
        guard now >= kind.next else {
            kinds[event] = (kind.next, kind.left + 1)
            return
        }
        kinds[event] = (now + Self.interval, 0)
        var fields: [(String, String)] = []
        if !address.isEmpty { fields.append(("address", address)) }
        if !reason.isEmpty { fields.append(("error", reason)) }
        if kind.left > 0 { fields.append(("left_out", String(kind.left))) }
        log.write(.warn, event, fields)
    }

    func debug(_ event: String, address: String, _ reason: String) {
        log.debug(event, [("address", address), ("error", reason)])
    }
}

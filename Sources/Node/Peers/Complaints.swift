/// Log lines about what strangers do, within `LineBudget.strangers`.
struct Complaints {
    private let log: Logger
    private var budget = LineBudget.strangers

    init(log: Logger) { self.log = log }

    /// - Parameters:
    ///   - event: a fixed text; its kind.
    ///   - now: monotonic nanoseconds.
    mutating func write(_ event: String, address: String, _ reason: String = "", at now: UInt64) {
        guard let left = budget.take(event, at: now) else { return }
        var fields: [(String, String)] = []
        if !address.isEmpty { fields.append(("address", address)) }
        if !reason.isEmpty { fields.append(("error", reason)) }
        if left > 0 { fields.append(("left_out", String(left))) }
        log.write(.warn, event, fields)
    }

    func debug(_ event: String, address: String, _ reason: String) {
        log.debug(event, [("address", address), ("error", reason)])
    }
}

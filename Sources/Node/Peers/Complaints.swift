/// Log lines about what strangers do, within `LineBudget.strangers`.
struct Complaints {
    private let log: Logger
    private var budget = LineBudget.strangers

    init(log: Logger) { self.log = log }

    /// - Parameters:
    ///   - event: a fixed text; its kind.
    ///   - now: monotonic nanoseconds.
    mutating func write(_ event: StaticString, address: String, _ reason: String = "", at now: UInt64) {
        guard let left = budget.take(event.description, at: now) else { return }
        var fields: [LogField] = []
        if !address.isEmpty { fields.append(LogField("address", address)) }
        if !reason.isEmpty { fields.append(LogField("error", reason)) }
        if left > 0 { fields.append(LogField("left_out", left)) }
        log.write(.warn, event, fields)
    }

    func debug(_ event: StaticString, address: String, _ reason: String) {
        log.debug(event, [("address", address), ("error", reason)])
    }
}

/// What waits for the log, with a bound: whoever logs is never held up, so when whoever reads the log falls behind,
/// something has to be left out.
///
/// The newcomer is, since what is here already tells how it began. The last quarter is kept for warnings and errors: a
/// thousand sessions that open don't crowd out the line that says why.
struct LogBacklog {
    struct Limits {
        var records = 4_096
        var bytes = 1 << 20
    }

    private let limits: Limits
    private var waiting: [LogRecord] = []
    private var bytes = 0
    private var dropped = 0

    init(_ limits: Limits = Limits()) { self.limits = limits }

    var isEmpty: Bool { waiting.isEmpty && dropped == 0 }
    var count: Int { waiting.count }

    /// False where there is no room for it; it is counted then.
    mutating func put(_ record: LogRecord) -> Bool {
        let quarters = record.level >= .warn ? 4 : 3
        guard waiting.count < limits.records * quarters / 4, bytes + record.cost <= limits.bytes * quarters / 4 else {
            dropped += 1
            return false
        }
        waiting.append(record)
        bytes += record.cost
        return true
    }

    /// All that waits, in order, and how many were dropped behind it.
    mutating func takeAll() -> (records: [LogRecord], dropped: Int) {
        defer {
            waiting = []
            bytes = 0
            dropped = 0
        }
        return (waiting, dropped)
    }
}

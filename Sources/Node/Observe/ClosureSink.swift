/// Hands records to a closure of the program that the node runs in.
struct ClosureSink: LogSink {
    let body: @Sendable (LogRecord) -> Void

    func write(_ records: [LogRecord]) -> Int {
        for record in records { body(record) }
        return 0
    }
}

import ConvergeTransport
import ConvergeWire

/// What an operator asks of a node that runs; `converge serve` asks it by signals.
extension ConvergeServer {
    /// Reads what can change under a running node anew, which is the certificate, and says in the log what became of it.
    /// What can't be used is not taken: the node goes on with what it has.
    public func reload() {
        let certificate =
            if !hasCertificate { "none" } else if reloadCertificate() { "reloaded" } else { "kept" }
        log.tell("reloaded", [LogField("certificate", certificate)])
    }

    /// Logs how the node is, whatever the level: memory, sessions, queues and what its threads do. For a node that seems
    /// to hang, it needs none of its own threads but the log's.
    public func logStatus() {
        let process = ProcessFigures.read()
        let now = Double(SystemClock.wallMilliseconds())
        var fields: [LogField] = [
            LogField("uptime", Duration.milliseconds(Int64(max(0, now - process.startedAt * 1_000)))),
            LogField("memory_bytes", process.residentBytes), LogField("memory_peak_bytes", process.peakBytes),
            LogField("cpu_seconds", (process.processorSeconds * 1_000).rounded() / 1_000),
            LogField("log_level", log.level.rawValue),
        ]
        if let metrics {
            fields += [
                LogField("ready", metrics.isReady), LogField("connections", metrics.connections.current),
                LogField("sessions", metrics.sessions.current), LogField("rooms", metrics.rooms.current),
                LogField("documents", metrics.documents.current), LogField("save_queue", metrics.saveQueue.current),
                LogField("core_mailbox", metrics.depths.core()), LogField("loop_mailbox", metrics.depths.loops()),
                LogField("reader_queue", metrics.depths.readers()), LogField("log_queue", metrics.depths.log()),
            ]
        }
        log.tell("status", fields)
        for thread in ProcessFigures.threads() {
            log.tell(
                "thread",
                [
                    LogField("name", thread.name), LogField("state", thread.state),
                    LogField("cpu_seconds", thread.processorSeconds),
                ])
        }
    }

    /// Lets the log say more (`up`) or less, by one level, from now on.
    public func stepLogLevel(up: Bool) {
        log.setLevel(LogLevel(rank: log.level.rank + (up ? -1 : 1)))
        log.tell("log level changed", [LogField("level", log.level.rawValue)])
    }
}

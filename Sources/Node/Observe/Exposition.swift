import ConvergeStorage
import ConvergeWire

/// The text that `/metrics` answers: Prometheus's exposition format, version 0.0.4.
extension Metrics {
    /// Why `/ready` says 503.
    var unreadiness: String {
        if stopping.current == 1 { return "stopping" }
        if storeReady.current == 0 {
            return storeTrouble.map { "the store is not available: \($0.words)" } ?? "the store is not available"
        }
        return clockIsFarAhead.current == 1
            ? "the clock is out of bounds: what is stored is dated \(clockAhead.current) s ahead of it"
            : "the clock is out of bounds: it is too far from the others'"
    }

    /// What `/ready` says with 200.
    var readiness: String {
        clockIsFarAhead.current == 1 ? "ready, but dating everything \(clockAhead.current) s ahead" : "ready"
    }

    func exposition() -> String {
        var text = ""

        func head(_ name: String, _ type: String, _ help: String) {
            text += "# HELP converge_\(name) \(help)\n# TYPE converge_\(name) \(type)\n"
        }
        func gauge(_ name: String, _ help: String, _ value: Int) {
            head(name, "gauge", help)
            text += "converge_\(name) \(value)\n"
        }
        func counter(_ name: String, _ help: String, _ value: Int) {
            head(name, "counter", help)
            text += "converge_\(name) \(value)\n"
        }
        func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
            head(name, "histogram", help)
            let cumulative = histogram.cumulative
            for (bound, count) in zip(histogram.bounds, cumulative) {
                text += "converge_\(name)_bucket{le=\"\(bound)\"} \(count)\n"
            }
            text += "converge_\(name)_bucket{le=\"+Inf\"} \(cumulative.last ?? 0)\n"
            text += "converge_\(name)_sum \(histogram.total)\nconverge_\(name)_count \(cumulative.last ?? 0)\n"
        }

        gauge("connections", "Open client connections.", connections.current)
        gauge("sessions", "Authenticated users on a connection.", sessions.current)
        gauge("rooms", "Rooms with someone in them.", rooms.current)
        gauge("documents", "Documents that are not empty.", documents.current)
        gauge("save_queue", "Commands that wait to be stored.", saveQueue.current)
        gauge("core_mailbox", "Events that wait for the core.", depths.core())
        gauge("loop_mailbox", "Batches of frames that wait for a loop, of all loops.", depths.loops())
        gauge("reader_queue", "Reads that wait for a free reader.", depths.readers())
        gauge("log_queue", "Log lines that wait to be written.", depths.log())
        gauge("store_ready", "Whether the store can be written (1) or not (0).", storeReady.current)
        head("store_trouble", "gauge", "What the store said last (1), while it can't be written.")
        for kind in StoreError.Kind.allCases {
            text += "converge_store_trouble{reason=\"\(kind.rawValue)\"} \(kind == storeTrouble ? 1 : 0)\n"
        }
        gauge(
            "clock_tolerable", "Whether the clocks let the node write (1) or not (0).",
            1 - clockRefuses.current)
        gauge(
            "clock_ahead_seconds", "How far the latest entry is dated ahead of the node's wall clock.",
            clockAhead.current)
        if certificateEnd.current > 0 {
            gauge(
                "tls_certificate_end_seconds", "When the certificate ends, in seconds since 1970.",
                certificateEnd.current)
        }
        gauge("memory_resident_bytes", "Resident memory of the process.", ProcessFigures.read().residentBytes)
        if let latest = status.latest {
            let kept = latest.logs.reduce(0) { $0 + Int(clamping: $1.end.dot.seq - min($1.floor, $1.end.dot.seq)) }
            gauge("log_entries", "Entries that are kept, of all logs.", kept)
        }
        gauge(
            "clock_skew_tolerance_seconds", "How far the clock may be from the peers' before writes are refused.",
            Int(ClockSkews.limit / 1_000))

        counter("connections_accepted_total", "Connections taken.", connectionsAccepted.current)
        counter("accept_pauses_total", "Times that accepting rested for want of descriptors.", acceptPauses.current)
        counter("upgrades_total", "Connections that became WebSockets.", upgrades.current)
        counter("frames_in_total", "Text frames from clients.", framesIn.current)
        counter("frames_out_total", "Frames to clients.", framesOut.current)
        counter("bytes_in_total", "Bytes from clients.", bytesIn.current)
        counter("bytes_out_total", "Bytes to clients.", bytesOut.current)
        counter("messages_total", "Chat messages given a place in the log.", messages.current)
        counter("system_events_total", "Users who joined or left a room.", systemEvents.current)
        counter("document_writes_total", "Document writes given a place in the log.", documentWrites.current)
        counter("duplicates_total", "Repeated sends, recognised by their key.", duplicates.current)
        counter(
            "reads_ahead_total", "Answers of the store that waited for what other nodes had written into it.",
            readsAhead.current)
        head("refused_total", "counter", "Commands answered with an error, by its reason.")
        for (reason, count) in refusals { text += "converge_refused_total{reason=\"\(reason)\"} \(count)\n" }
        counter(
            "tls_handshakes_failed_total", "Clients that spoke no TLS, or none that was understood.",
            tlsHandshakesFailed.current)
        counter("auth_failures_total", "Upgrades with a token that is not good.", authFailures.current)
        counter(
            "origins_refused_total", "Upgrades for pages whose origin is not allowed.", originsRefused.current)
        counter("bad_requests_total", "HTTP requests refused.", badRequests.current)
        counter(
            "protocol_errors_total", "WebSockets closed because the client broke the protocol.", protocolErrors.current)
        counter("slow_taken_off_total", "Times a slow client was taken off the live stream.", slowTakenOff.current)
        counter("slow_fed_frames_total", "Frames that slow clients got from the store.", slowFed.current)
        counter(
            "slow_closed_total", "Clients closed because they took nothing for too long, or retention overtook them.",
            slowClosed.current)
        counter(
            "slow_overtaken_total", "Subscriptions that retention overtook, of clients that are in other rooms still.",
            slowOvertaken.current)
        counter("silent_closed_total", "Clients closed because they were silent for too long.", silentClosed.current)
        counter("reads_total", "Reads of the store.", reads.current)
        counter("reads_failed_total", "Reads of the store that failed.", readsFailed.current)
        counter("pruned_total", "Entries dropped because they were older than the retention.", pruned.current)
        counter("batches_failed_total", "Batches that could not be stored.", batchesFailed.current)

        counter(
            "log_lines_dropped_total",
            "Log lines lost because whoever reads the log fell behind, or it can't be written.",
            logLinesDropped.current)

        histogram("commit_seconds", "How long a commit took.", commitSeconds)
        histogram(
            "delivery_seconds", "How long after its oldest command was received a batch was sent to a loop's clients.",
            deliverySeconds)
        histogram("commit_entries", "Entries in a commit.", batchEntries)
        counter(
            "identities_renewed_total", "Times that the node went on under a new replica since a peer said it must.",
            status.latest?.counters.identitiesRenewed ?? 0)
        return text + processExposition() + peerExposition()
    }

    /// What was refused, by reason: by the core and by the loops, which have some reasons in common.
    private var refusals: [(reason: String, count: Int)] {
        var counts = refusedByLoops.current
        for (refusal, counter) in zip(Refusal.allCases, refusedByCore) {
            counts[refusal.text.string, default: 0] += counter.current
        }
        return counts.sorted { $0.key < $1.key }.map { (Self.escaped(Text($0.key)), $0.value) }
    }
}

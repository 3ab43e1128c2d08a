import ConvergeTransport

/// The part of `/metrics` that is about the process and what it is made of. The names with `process_` are those that all
/// of Prometheus's client libraries give, so that what is made for them works here.
extension Metrics {
    /// What a loop's own table has beside its connections: the standard three, and what `DescriptorTable.own` keeps.
    private static let loopDescriptors = 7

    func processExposition() -> String {
        var text = ""

        func metric(_ name: String, _ type: String, _ help: String, _ value: String, _ labels: String = "") {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n\(name)\(labels) \(value)\n"
        }

        let process = ProcessFigures.read()
        // Each loop has a table of its own, which has the same limit: the fullest is the one that runs out.
        let fullest = (loopConnections.map(\.current).max() ?? 0) + Self.loopDescriptors
        metric(
            "converge_build_info", "gauge", "What is running; always 1.", "1",
            "{version=\"\(ConvergeVersion.current)\"}")
        metric(
            "process_cpu_seconds_total", "counter", "User and system time of all threads.",
            "\(process.processorSeconds)")
        metric(
            "process_open_fds", "gauge", "Open descriptors in the fullest of the process's tables.",
            "\(max(process.openDescriptors, fullest))")
        metric("process_max_fds", "gauge", "How many descriptors a table may have.", "\(process.mostDescriptors)")
        metric(
            "process_start_time_seconds", "gauge", "When the process was started, in seconds since 1970.",
            "\(process.startedAt)")
        metric(
            "process_resident_memory_bytes", "gauge", "Resident memory of the process.", "\(process.residentBytes)")
        metric("process_virtual_memory_bytes", "gauge", "Virtual memory of the process.", "\(process.virtualBytes)")
        if let sizes = sizes() {
            metric("converge_database_bytes", "gauge", "The database's file.", "\(sizes.database)")
            metric(
                "converge_database_wal_bytes", "gauge", "The write-ahead log beside it.", "\(sizes.writeAheadLog)")
        }
        return text
    }
}

/// What is printed of many runs.
enum Report {
    static func summary(_ counts: World.Counts, runs: Int, failed: Int, seconds: Double) -> String {
        let each = runs == 0 ? 0 : seconds / Double(runs) * 1_000
        var lines = [
            "\(runs) runs, \(failed) failed, in \(rounded(seconds)) s (\(rounded(each)) ms each)",
            "\(counts.events) events in \(counts.virtual / 1_000_000 / 60) minutes of virtual time",
            "\(counts.entries) entries, \(counts.acknowledged) acknowledged, \(counts.duplicates) repeats, "
                + "\(counts.refused) refused, \(counts.deliveries) frames to clients, \(counts.frames) between nodes "
                + "(\(counts.bytes / 1_000) kB)",
            "\(counts.compared) states compared, \(counts.reloads) reloads after forks, \(counts.failovers) failovers, \(counts.resumes) resumes of which "
                + "\(counts.resumesNotRecovered) not recovered, \(counts.namedReads) documents that they named read, \(counts.pages) pages, \(counts.takenOff) times taken off the "
                + "live stream (\(counts.closedAsSlow) closed and \(counts.overtaken) out of a room, because of what had gone), at most \(counts.convergence / 1_000) ms from the heal until all agreed",
        ]
        lines.append(
            "after the heal at most \(counts.healBytes) % of the bytes and \(counts.healRounds) % of the rounds that are "
                + "allowed")
        let faults = Scenario.Fault.allCases.filter { counts.faults[$0.rawValue] > 0 }
            .map { "\($0.name) \(counts.faults[$0.rawValue])" }
        lines.append("faults: " + (faults.isEmpty ? "none" : faults.joined(separator: ", ")))
        return lines.joined(separator: "\n")
    }

    static func rounded(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}

import ConvergeCRDT

/// What nodes have said, for somebody who reads it on 80 columns: one table of the nodes, one of the logs, one of who sees
/// whom, and a verdict. Names are foreign text: nothing in them is obeyed by a terminal.
public enum StatusText {
    public static func page(_ answers: [NodeAnswer], _ verdict: ClusterVerdict) -> String {
        let reports = ClusterVerdict.distinct(answers.compactMap(\.report))
        var text = nodes(answers)
        if !reports.isEmpty { text += "\n" + logs(reports) }
        let peers = peers(reports)
        if !peers.isEmpty { text += "\n" + peers }
        text += "\n"
        text += verdict.isWhole ? "whole" : "not whole"
        switch verdict.documents {
        case .equal: text += "; documents equal\n"
        case .different: text += "; documents differ\n"
        case .moving: text += "; documents not compared: not all had the same entries when they were asked\n"
        case .alone: text += "\n"
        }
        for problem in verdict.problems { text += "  \(shown(problem))\n" }
        return text
    }

    // MARK: Tables

    private static func nodes(_ answers: [NodeAnswer]) -> String {
        var rows = [["NODE", "STATE", "VERSION", "CONNS", "ROOMS", "DOCS", "OWN LOG", "DOCUMENTS"]]
        for answer in answers {
            guard let report = answer.report else {
                rows.append([short(answer.url, 24), "no answer"])
                continue
            }
            let own = report.replica.flatMap { report.logs[$0]?.seq } ?? 0
            rows.append([
                short(report.name, 16), short(state(report), 10), short(report.version, 10), "\(report.connections)",
                "\(report.rooms)", "\(report.documents)", "\(own)",
                String(hexadecimal(report.documentsDigest).prefix(8)),
            ])
        }
        return table(rows, rightAligned: [3, 4, 5, 6])
    }

    /// A log a row, a node a column; five nodes side by side.
    private static func logs(_ reports: [NodeReport]) -> String {
        var replicas: Set<ReplicaID> = []
        for report in reports { replicas.formUnion(report.logs.keys) }
        guard !replicas.isEmpty else { return "no entries yet\n" }
        let names = names(reports)
        var text = ""
        var from = 0
        while from < reports.count {
            let some = reports[from..<min(from + 5, reports.count)]
            var rows = [["LOG OF"] + some.map { "ON " + short($0.name, 7) }]
            for replica in replicas.sorted() {
                let name = names[replica].map { short($0, 10) } ?? "-"
                rows.append(
                    ["\(name) \(replica.description.prefix(8))"] + some.map { "\($0.logs[replica]?.seq ?? 0)" })
            }
            text += table(rows, rightAligned: Set(1...some.count))
            from += 5
        }
        return text
    }

    private static func peers(_ reports: [NodeReport]) -> String {
        var rows = [["NODE", "SEES", "STATE", "LINK", "PEER LACKS", "NODE LACKS", "CLOCK"]]
        for report in reports {
            for peer in report.peers where peer.state != "forgotten" {
                rows.append([
                    short(report.name, 10), short(peer.name, 10),
                    "\(short(peer.state, 8)) \(duration(peer.inState))",
                    peer.isLinked ? duration(peer.inLink) : "none", lag(peer, peer.lacks), lag(peer, peer.leads),
                    peer.skew.map { ($0 > 0 ? "+" : "") + "\($0) ms" } ?? "-",
                ])
            }
        }
        return rows.count > 1 ? table(rows, rightAligned: [6]) : ""
    }

    private static func lag(_ peer: NodeReport.Peer, _ lag: NodeReport.Lag) -> String {
        guard peer.isLinked, peer.hasTold else { return "?" }
        return lag.entries == 0 ? "-" : "\(count(lag.entries)) (\(duration(lag.milliseconds)))"
    }

    private static func state(_ report: NodeReport) -> String {
        report.state == "storage_unavailable" ? "no storage" : report.state
    }

    /// Who writes a log: the nodes that were asked, and those that they see.
    private static func names(_ reports: [NodeReport]) -> [ReplicaID: String] {
        var names: [ReplicaID: String] = [:]
        for report in reports {
            for peer in report.peers where !peer.name.isEmpty {
                if let replica = peer.replica { names[replica] = peer.name }
            }
        }
        for report in reports { if let replica = report.replica { names[replica] = report.name } }
        return names
    }

    /// Columns as wide as their widest cell, two blanks apart.
    private static func table(_ rows: [[String]], rightAligned: Set<Int>) -> String {
        var widths: [Int] = []
        for row in rows where row.count > 2 {
            for (column, cell) in row.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.utf8.count)
            }
        }
        var text = ""
        for row in rows {
            var line = ""
            for (column, cell) in row.enumerated() {
                let width = column < widths.count ? widths[column] : 0
                let blanks = String(repeating: " ", count: max(0, width - cell.utf8.count))
                line += rightAligned.contains(column) ? blanks + cell : cell + blanks
                if column < row.count - 1 { line += "  " }
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }

    // MARK: Words

    /// `2.1 s`, `14 s`, `3 min`.
    static func seconds(_ milliseconds: UInt64) -> String {
        if milliseconds < 10_000 { return "\(milliseconds / 1_000).\(milliseconds % 1_000 / 100) s" }
        if milliseconds < 120_000 { return "\(milliseconds / 1_000) s" }
        return "\(milliseconds / 60_000) min"
    }

    /// `99999`, `123k`, `12M`.
    private static func count(_ number: UInt64) -> String {
        if number < 100_000 { return "\(number)" }
        return number < 10_000_000 ? "\(number / 1_000)k" : "\(number / 1_000_000)M"
    }

    /// `1.4s`, `14s`, `3m`, `5h`, `2d`.
    static func duration(_ milliseconds: UInt64) -> String {
        let seconds = milliseconds / 1_000
        if seconds < 10 { return "\(seconds).\(milliseconds % 1_000 / 100)s" }
        if seconds < 120 { return "\(seconds)s" }
        if seconds < 7_200 { return "\(seconds / 60)m" }
        if seconds < 172_800 { return "\(seconds / 3_600)h" }
        return "\(seconds / 86_400)d"
    }

    private static func hexadecimal(_ value: UInt64) -> String { ReplicaID(rawValue: value).description }

    /// Plain ASCII, so that every character is one column wide; what is not becomes an escape.
    static func shown(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars {
            if (0x20...0x7E).contains(scalar.value) {
                shown.unicodeScalars.append(scalar)
            } else {
                shown += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            }
        }
        return shown
    }

    private static func short(_ text: String, _ width: Int) -> String {
        let shown = shown(text)
        return shown.utf8.count <= width ? shown : shown.prefix(width - 1) + "~"
    }
}

import ConvergeWire

/// The part of `/metrics` that is about other nodes. What is of one peer carries its name and its replica as labels, since
/// two nodes may have one name; there are as many as membership keeps.
extension Metrics {
    func peerExposition() -> String {
        var text = ""

        func head(_ name: String, _ type: String, _ help: String) {
            text += "# HELP converge_peer_\(name) \(help)\n# TYPE converge_peer_\(name) \(type)\n"
        }
        func gauge(_ name: String, _ help: String, _ value: Int) {
            head(name, "gauge", help)
            text += "converge_peer_\(name) \(value)\n"
        }
        func counter(_ name: String, _ help: String, _ value: Int) {
            head(name, "counter", help)
            text += "converge_peer_\(name) \(value)\n"
        }

        let status = status.latest
        let members = status?.members ?? []
        let linked = members.compactMap { member in member.link.map { (Self.labels(of: member), $0) } }
        gauge("links", "Peers that this node has a link to.", linked.count)
        head("members", "gauge", "Other nodes that are known, by state.")
        for state in ClusterStatus.MemberState.allCases {
            text += "converge_peer_members{state=\"\(state.rawValue)\"} \(members.count { $0.state == state })\n"
        }
        head("lag_entries", "gauge", "Entries stored here that the peer is not known to have.")
        for (labels, link) in linked { text += "converge_peer_lag_entries{\(labels)} \(link.lacks.entries)\n" }
        head("lag_seconds", "gauge", "About how long ago the oldest of these came to be known here.")
        for (labels, link) in linked {
            text += "converge_peer_lag_seconds{\(labels)} \(Double(link.lacks.age) / 1_000)\n"
        }
        head("lead_entries", "gauge", "Entries that the peer has and that are not stored here.")
        for (labels, link) in linked { text += "converge_peer_lead_entries{\(labels)} \(link.leads.entries)\n" }
        head("clock_skew_seconds", "gauge", "The peer's clock less this node's.")
        for (labels, link) in linked {
            guard let skew = link.skew else { continue }
            text += "converge_peer_clock_skew_seconds{\(labels)} \(Double(skew) / 1_000)\n"
        }
        head("unacknowledged_bytes", "gauge", "Pushed bytes that the peer has not said it took.")
        for (labels, link) in linked {
            text += "converge_peer_unacknowledged_bytes{\(labels)} \(link.unacknowledgedBytes)\n"
        }
        gauge("connections", "Connections with peers that are past their handshake.", peers.links.current)

        counter("bytes_in_total", "Bytes from peers.", peers.bytesIn.current)
        counter("bytes_out_total", "Bytes to peers.", peers.bytesOut.current)
        counter("frames_in_total", "Frames from peers.", status?.counters.framesIn ?? 0)
        counter("frames_out_total", "Frames to peers.", status?.counters.framesOut ?? 0)
        head("links_refused_total", "counter", "Connections with peers that were given up, by reason.")
        let refused = [
            ("stranger", peers.strangersRefused.current), ("hello", status?.counters.linksRefused ?? 0),
            ("silent", status?.counters.linksTimedOut ?? 0),
        ]
        for (reason, count) in refused {
            text += "converge_peer_links_refused_total{reason=\"\(reason)\"} \(count)\n"
        }
        counter("handshakes_failed_total", "Handshakes with peers that failed.", peers.handshakesFailed.current)
        counter("dials_failed_total", "Addresses of peers where nobody answered.", peers.dialsFailed.current)
        counter("overflows_total", "Links cut because the peer took too little.", peers.overflows.current)
        counter("read_pauses_total", "Times that reading from peers rested for the core.", peers.readPauses.current)

        let counters = status?.counters ?? ClusterStatus.Counters()
        let replicator = counters.replicator
        counter("violations_total", "Links closed because the peer broke the protocol.", counters.violations)
        counter("unknown_frames_total", "Frames of kinds that this build does not know.", counters.unknownFrames)
        counter("entries_pushed_total", "Own entries pushed, for each peer.", replicator.pushed)
        counter("entries_relayed_total", "Others' entries passed on, for each peer.", replicator.relayed)
        counter("pushes_skipped_total", "Entries not pushed to a peer that is behind.", replicator.pushesSkipped)
        counter("entries_received_total", "Others' entries that were applied.", replicator.applied)
        counter("entries_repaired_total", "Others' entries that had to be asked for.", replicator.repaired)
        counter("entries_repeated_total", "Entries that came and were here already.", replicator.repeats)
        gauge(
            "logs_held", "Logs that go no further here: their next entry is dated too far ahead.",
            status?.held.count ?? 0)
        counter(
            "entries_held_total", "Entries and snapshots turned away since they are dated too far ahead.",
            replicator.heldAside)
        gauge("entries_waiting", "Entries that wait for what they depend on.", replicator.waiting)
        counter("snapshots_sent_total", "Snapshots that were handed to a peer.", replicator.snapshotsServed)
        counter("snapshots_installed_total", "Snapshots that were installed.", replicator.snapshotsInstalled)
        counter("forks_total", "Times that a peer's copy of a log was not the log that is here.", replicator.forks)
        counter(
            "suspicions_total", "Members that this node began to suspect.",
            Int(clamping: counters.membership.suspicions))
        counter(
            "failures_total", "Members that this node declared faulty.", Int(clamping: counters.membership.failures))
        return text
    }

    private static func labels(of member: ClusterStatus.Member) -> String {
        "peer=\"\(escaped(member.name))\",replica=\"\(member.replica)\""
    }

    /// A label's value: backslash, quote and line end are escaped, as the format has it.
    static func escaped(_ value: Text) -> String {
        var escaped = ""
        for character in value.string.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }
}

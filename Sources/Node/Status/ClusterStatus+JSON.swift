import ConvergeCRDT
import ConvergeWire

/// The status as the JSON that `/cluster` answers; docs/protocol.md names every field. Replicas and hashes are 16
/// hexadecimal digits, times in milliseconds.
extension ClusterStatus {
    func json() -> [UInt8] {
        var json = ByteBuffer(capacity: 1_024 + logs.count * (members.count + 4) * 28 + members.count * 400)
        json.append("{\"node\":")
        json.appendJSONString(name)
        json.append(",\"version\":\"\(ConvergeVersion.current)\"")
        json.append(",\"protocol\":{\"lowest\":\(lowestVersion),\"highest\":\(highestVersion)}")
        json.append(",\"cluster\":")
        if let cluster { json.appendJSONString(cluster) } else { json.append("null") }
        json.append(",\"address\":")
        json.appendJSONString(address)
        json.append(",\"replica\":")
        if let replica { json.appendQuoted(replica.rawValue) } else { json.append("null") }
        json.append(",\"boot\":\(boot),\"state\":\"\(state.rawValue)\"")
        if let storeTrouble { json.append(",\"store_trouble\":\"\(storeTrouble.rawValue)\"") }
        json.append(",\"clock_tolerable\":\(isClockTolerable)")
        json.append(",\"taken\":\(taken)")
        json.append(",\"connections\":\(connections),\"sessions\":\(sessions),\"rooms\":\(rooms)")
        json.append(",\"save_queue\":\(saveQueue)")
        if let bodyLimit { json.append(",\"limits\":{\"body\":\(bodyLimit)}") }
        json.append(",\"documents\":{\"count\":\(documents),\"digest\":")
        json.appendQuoted(documentsDigest)
        json.append(",\"of\":")
        json.appendVector(documentsVector)
        json.append("},\"logs\":[")
        for (index, log) in logs.enumerated() {
            if index > 0 { json.append(",") }
            json.append("{\"replica\":")
            json.appendQuoted(log.end.dot.replica.rawValue)
            json.append(",\"seq\":\(log.end.dot.seq),\"floor\":\(log.floor),\"hash\":")
            json.appendQuoted(log.end.hash.high)
            json.append("}")
        }
        json.append("],\"peers\":[")
        for (index, member) in members.enumerated() {
            if index > 0 { json.append(",") }
            json.append(member)
        }
        json.append("],\"counters\":{")
        for (index, counter) in counters.named.enumerated() {
            if index > 0 { json.append(",") }
            json.append("\"\(counter.name)\":\(counter.value)")
        }
        json.append("},\"clock\":{\"ahead_ms\":\(clockLead),\"held_aside\":[")
        for (index, held) in held.enumerated() {
            if index > 0 { json.append(",") }
            json.append("{\"replica\":")
            json.appendQuoted(held.dot.replica.rawValue)
            json.append(",\"seq\":\(held.dot.seq),\"until_ms\":\(held.until)}")
        }
        json.append("]}}\n")
        return json.array()
    }
}

extension ClusterStatus.Counters {
    /// The names are part of the protocol: one may come to be, none changes.
    fileprivate var named: [(name: String, value: Int)] {
        [
            ("entries_pushed", replicator.pushed), ("entries_relayed", replicator.relayed),
            ("pushes_skipped", replicator.pushesSkipped), ("entries_received", replicator.applied),
            ("entries_repaired", replicator.repaired), ("entries_repeated", replicator.repeats),
            ("entries_waiting", replicator.waiting), ("waiting_overflowed", replicator.overflowed),
            ("waiting_expired", replicator.expired), ("held_aside", replicator.heldAside),
            ("ranges_served", replicator.rangesServed),
            ("wants", replicator.wants), ("wants_timed_out", replicator.wantsTimedOut),
            ("snapshots_served", replicator.snapshotsServed), ("snapshots_installed", replicator.snapshotsInstalled),
            ("snapshots_abandoned", replicator.snapshotsAbandoned), ("forks", replicator.forks),
            ("violations", violations), ("unknown_frames", unknownFrames), ("identities_renewed", identitiesRenewed),
            ("links_refused", linksRefused), ("links_timed_out", linksTimedOut),
            ("dials", Int(clamping: membership.dials)), ("dials_failed", Int(clamping: membership.dialsFailed)),
            ("suspicions", Int(clamping: membership.suspicions)), ("failures", Int(clamping: membership.failures)),
            ("refutations", Int(clamping: membership.refutations)),
        ]
    }
}

extension ByteBuffer {
    fileprivate mutating func appendQuoted(_ value: UInt64) {
        append("\"")
        appendHexadecimal(value)
        append("\"")
    }

    /// `{"0123456789abcdef":7,…}`.
    fileprivate mutating func appendVector(_ vector: VersionVector) {
        append("{")
        for (index, dot) in vector.components.enumerated() {
            if index > 0 { append(",") }
            appendQuoted(dot.replica.rawValue)
            append(":")
            appendDecimal(dot.seq)
        }
        append("}")
    }

    fileprivate mutating func append(_ member: ClusterStatus.Member) {
        append("{\"replica\":")
        appendQuoted(member.replica.rawValue)
        append(",\"name\":")
        appendJSONString(member.name)
        append(",\"address\":")
        appendJSONString(member.address)
        append(",\"state\":\"\(member.state.rawValue)\",\"state_ms\":\(member.inState)")
        append(",\"incarnation\":\(member.incarnation),\"linked\":\(member.link != nil),\"link_ms\":\(member.inLink)")
        if let link = member.link {
            append(",\"protocol\":\(link.version),\"has\":")
            if let has = link.has { appendVector(has) } else { append("null") }
            append(",\"lacks\":{\"entries\":\(link.lacks.entries),\"ms\":\(link.lacks.age)}")
            append(",\"leads\":{\"entries\":\(link.leads.entries),\"ms\":\(link.leads.age)}")
            append(",\"clock_skew_ms\":")
            if let skew = link.skew { appendDecimal(Int(skew)) } else { append("null") }
            append(",\"unacknowledged_bytes\":\(link.unacknowledgedBytes),\"paused\":\(link.isPaused)")
        }
        append("}")
    }
}

import ConvergeClient

/// Answers as nodes give them, made up.
enum StatusSamples {
    static func replica(_ number: Int) -> String { "00000000000000" + (number < 10 ? "0\(number)" : "\(number)") }

    struct Peer {
        var number: Int
        var state = "alive"
        var linked = true
        var told = true
        var lacks = (entries: 0, ms: 0)
        var leads = (entries: 0, ms: 0)
        var name: String?
        var address: String?
    }

    static func json(
        _ number: Int, name: String? = nil, state: String = "ready", clock: Bool = true, digest: String = "ab",
        seqs: [Int: Int] = [1: 10, 2: 20, 3: 30], hash: String = "cd",
        address: String = "", peers: [Peer]
    ) -> String {
        func padded(_ text: String) -> String { String(repeating: "0", count: 16 - text.utf8.count) + text }
        let vector = seqs.keys.sorted().map { "\"\(replica($0))\":\(seqs[$0] ?? 0)" }.joined(separator: ",")
        let logs = seqs.keys.sorted().map {
            "{\"replica\":\"\(replica($0))\",\"seq\":\(seqs[$0] ?? 0),\"floor\":0,\"hash\":\"\(padded(hash))\"}"
        }
        let members = peers.map { peer in
            let link =
                peer.linked
                ? """
                ,"protocol":1,"has":\(peer.told ? "{\(vector)}" : "null"),\
                "lacks":{"entries":\(peer.lacks.entries),"ms":\(peer.lacks.ms)},\
                "leads":{"entries":\(peer.leads.entries),"ms":\(peer.leads.ms)},"clock_skew_ms":-3,"paused":false
                """ : ""
            return """
                {"replica":"\(replica(peer.number))","name":"\(peer.name ?? "n\(peer.number)")","address":"\(peer.address ?? "a:\(peer.number)")",\
                "state":"\(peer.state)","state_ms":61000,"incarnation":1,"linked":\(peer.linked),"link_ms":7300000\(link)}
                """
        }
        return """
            {"node":"\(name ?? "n\(number)")","version":"1.2.3","protocol":{"lowest":1,"highest":1},"cluster":"c",\
            "address":"\(address)","replica":"\(replica(number))","boot":1,"state":"\(state)","clock_tolerable":\(clock),\
            "connections":12,"sessions":11,"rooms":3,"save_queue":0,\
            "documents":{"count":2,"digest":"\(padded(digest))","of":{\(vector)}},\
            "logs":[\(logs.joined(separator: ","))],"peers":[\(members.joined(separator: ","))],"new":[{}]}
            """
    }

    static func answer(_ json: String, age: Int = 0) -> NodeAnswer {
        do throws(NodeReport.Unreadable) {
            let report = try NodeReport(json: Array(json.utf8))
            return NodeAnswer(
                url: "http://h:\(report.name)", outcome: .report(report, age: age), json: Array(json.utf8))
        } catch {
            return NodeAnswer(url: "http://h", outcome: .failed("its answer can't be read at byte \(error.offset)"))
        }
    }

    /// Three nodes that see each other.
    static func whole() -> [NodeAnswer] {
        (1...3).map { number in
            answer(json(number, peers: (1...3).filter { $0 != number }.map { Peer(number: $0) }))
        }
    }
}

import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

@testable import ConvergeNode

/// The names and forms of `/cluster`, which programs depend on.
@Suite("Status: its JSON")
struct ClusterStatusJSONTests {
    private func text(_ status: ClusterStatus) -> String { String(decoding: status.json(), as: UTF8.self) }

    /// What reads through it whole is JSON.
    private func isJSON(_ text: String) -> Bool {
        Array(text.utf8).withUnsafeBytes { bytes in
            var json = JSONScanner(bytes)
            do throws(JSONError) {
                try json.skipValue()
                try json.finish()
                return true
            } catch {
                return false
            }
        }
    }

    @Test("a node with one peer, field by field")
    func golden() {
        let vector = VersionVector([Dot(replica: ReplicaID(rawValue: 0xAB), seq: 7)])
        let text = text(.sample(peers: 1, vector: vector))
        #expect(isJSON(text))
        let expected =
            #"{"node":"n0","version":"\#(ConvergeVersion.current)","protocol":{"lowest":1,"highest":1},"#
            + #""cluster":"c","address":"127.0.0.1:7000","replica":"00000000000000ab","boot":2,"state":"ready","#
            + #""clock_tolerable":true,"taken":1700000000000,"connections":4,"sessions":3,"rooms":2,"save_queue":0,"limits":{"body":2000},"#
            + #""documents":{"count":1,"digest":"00000000000000d1","of":{"00000000000000ab":7}},"#
            + #""logs":[{"replica":"00000000000000ab","seq":7,"floor":1,"hash":"00000000000000c0"}],"#
            + #""peers":[{"replica":"0000000000000001","name":"n1","address":"h:1","state":"alive","state_ms":5000,"#
            + #""incarnation":1,"linked":true,"link_ms":4000,"protocol":1,"has":{"00000000000000ab":7},"#
            + #""lacks":{"entries":3,"ms":1500},"leads":{"entries":0,"ms":0},"clock_skew_ms":-20,"#
            + #""unacknowledged_bytes":9,"paused":false}],"counters":{"entries_pushed":0,"#
        #expect(text.hasPrefix(expected))
        #expect(text.hasSuffix("}}\n"))
    }

    @Test("what is not known is null, and a peer without a link has nothing of a link")
    func unknown() {
        var status = ClusterStatus.sample(peers: 2, name: "a\"\\\u{1}é")
        status.replica = nil
        status.cluster = nil
        status.members[0].link = nil
        status.members[1].link?.has = nil
        status.members[1].link?.skew = nil
        let text = text(status)
        #expect(isJSON(text))
        #expect(text.contains(#"{"node":"a\"\\\u0001é","#))
        #expect(text.contains(#""cluster":null"#) && text.contains(#""replica":null"#))
        #expect(text.contains(#""linked":false,"link_ms":4000}"#))
        #expect(text.contains(#""has":null"#) && text.contains(#""clock_skew_ms":null"#))
    }

    @Test("the board answers 503 before the core has run, and then says how old its answer is")
    func board() {
        let board = StatusBoard()
        #expect(board.response(at: 0).status == .unavailable)
        #expect(board.isDue(at: 0))
        board.put(.sample(peers: 0), at: 5_000_000_000)
        #expect(!board.isDue(at: 5_999_999_999) && board.isDue(at: 6_000_000_000))
        let response = board.response(at: 8_900_000_000)
        #expect(response.status == .ok && response.headers.contains(HTTPHeader("Age", "3")))
        #expect(response.headers.contains(HTTPHeader("Content-Type", "application/json")))
        #expect(response.body == ClusterStatus.sample(peers: 0).json())
        board.put(.sample(peers: 1), at: 9_000_000_000)
        #expect(board.response(at: 9_000_000_000).body == ClusterStatus.sample(peers: 1).json())
    }
}

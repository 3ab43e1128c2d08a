import ConvergeClient
import ConvergeNode
import ConvergeStorage
import Glibc
import Testing

/// What two real nodes say of their cluster, over HTTP, and what `converge status` makes of it.
@Suite("The status of two nodes", .serialized)
struct ClusterStatusTests {
    private func verdict(of nodes: [TestNode]) throws -> (answers: [NodeAnswer], verdict: ClusterVerdict) {
        let urls = try nodes.map { try ServerURL("http://127.0.0.1:\($0.port)") }
        let answers = ClusterProbe.ask(urls, timeout: .seconds(3))
        return (answers, ClusterVerdict(answers))
    }

    @Test("they are whole when both have what was written, with equal documents; a node that is lost is told of")
    func whole() throws {
        try withNode {
            $0.nodeName = "one"
            $0.cluster = ClusterSettings()
        } _: { first in
            let port = try #require(first.server.peerPort)
            try withNode {
                $0.nodeName = "two"
                var cluster = ClusterSettings()
                cluster.peers = ["127.0.0.1:\(port)"]
                $0.cluster = cluster
            } _: { second in
                let ann = try first.client("ann")
                _ = try ann.ask(#"{"body":"hello","ref":"m"}"#, ref: "m")
                _ = try ann.ask(#"{"type":"crdt_orset_add","doc":"list","body":"milk","ref":"d"}"#, ref: "d")
                var page = ""
                try first.wait("a whole cluster") {
                    let (answers, verdict) = try self.verdict(of: [first, second])
                    page = StatusText.page(answers, verdict)
                    return verdict.isWhole && verdict.documents == .equal
                        && answers.allSatisfy { $0.report?.documents == 1 && $0.report?.peers.count == 1 }
                }
                #expect(page.hasSuffix("\nwhole; documents equal\n"))
                #expect(page.contains("\none   two   alive "))
                let metrics = try HTTPReply.get("/metrics", port: first.port).body
                #expect(metrics.contains("\nconverge_peer_links 1\n"))
                #expect(metrics.contains(#"converge_peer_lag_entries{peer="two",replica=""#))
                #expect(try first.metric("peer_bytes_out_total") > 0)
                #expect(try first.metric("peer_frames_out_total") > 0)
            }
            // It has left.
            try first.wait("a member that left") {
                let (answers, verdict) = try self.verdict(of: [first])
                return verdict.isWhole && answers[0].report?.peers.map(\.state) == ["left"]
            }
        }
    }

    @Test("a link that is lost is no whole cluster")
    func cut() throws {
        try withNode {
            $0.nodeName = "one"
            $0.cluster = ClusterSettings()
        } _: { first in
            let port = try #require(first.server.peerPort)
            let folder = try TemporaryFolder()
            let second = try NodeProcess.serve(
                database: folder.path("two.db"),
                environment: [
                    "CONVERGE_NODE_NAME": "two", "CONVERGE_GOSSIP_ADDR": "127.0.0.1:0",
                    "CONVERGE_PEERS": "127.0.0.1:\(port)",
                ])
            try first.wait("a whole cluster") {
                let (answers, verdict) = try self.verdict(of: [first])
                return verdict.isWhole && answers[0].report?.peers.map(\.name) == ["two"]
            }
            second.kill(SIGKILL)
            try first.wait("a cluster that is not whole") {
                try self.verdict(of: [first]).verdict.problems.contains { $0.contains("two") }
            }
        }
    }
}

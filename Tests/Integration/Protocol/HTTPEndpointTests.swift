// docs/protocol.md, "HTTP": health, readiness, figures.

import ConvergeClient
import ConvergeNode
import ConvergeStorage
import Testing

@Suite struct HTTPEndpointTests {
    @Test func `health is ok, ready is 503 without storage and 200 with it`() throws {
        let store = MemoryStore()
        store.setOutage(.unreachable("test"))
        try withNode(store, ready: false) { node in
            let health = try HTTPReply.get("/health", port: node.port)
            #expect(health.status == 200)
            #expect(health.body == "ok")
            #expect(try HTTPReply.get("/ready", port: node.port).status == 503)
            store.setOutage(nil)
            try node.wait("ready") { try HTTPReply.get("/ready", port: node.port).status == 200 }
            #expect(try HTTPReply.get("/health?x=y", port: node.port).status == 200)
        }
    }

    @Test func `a connection is kept for several requests, and HEAD has no body`() throws {
        try withNode { node in
            let socket = try RawSocket(port: node.port)
            try socket.send(HTTPText.get("/health") + HTTPText.get("/health"))
            try socket.send("HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let text = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
            let answers = text.split(separator: "HTTP/1.1 ").map(String.init)
            #expect(answers.count == 3)
            #expect(answers.allSatisfy { $0.hasPrefix("200") })
            #expect(answers[0].hasSuffix("\r\n\r\nok"))
            #expect(answers[2].hasSuffix("\r\n\r\n"))
            #expect(answers.allSatisfy { $0.lowercased().contains("content-length: 2\r\n") })
        }
    }

    @Test func `an idle connection is closed after its time`() throws {
        try withNode {
            $0.idleTimeout = .milliseconds(200)
        } _: { node in
            let socket = try RawSocket(port: node.port)
            try socket.send(HTTPText.get("/health"))
            #expect(try HTTPReply(socket.receiveToEnd()).status == 200)
        }
    }

    @Test func `figures are well-formed, each with its HELP and TYPE`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            _ = try ann.ask(#"{"body":"x","ref":"r"}"#, ref: "r")
            let reply = try HTTPReply.get("/metrics", port: node.port)
            #expect(reply.status == 200)
            #expect(reply.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
            var types: [String: String] = [:]
            var helped: Set<String> = []
            var samples: [String: Double] = [:]
            var wrong: [String] = []
            for line in reply.body.split(separator: "\n") {
                if let match = line.wholeMatch(of: /# HELP ((?:converge|process)_[a-z_]+) (.+)/) {
                    if !helped.insert(String(match.1)).inserted { wrong.append("\(line)") }
                } else if let match = line.wholeMatch(
                    of: /# TYPE ((?:converge|process)_[a-z_]+) (gauge|counter|histogram)/)
                {
                    if types.updateValue(String(match.2), forKey: String(match.1)) != nil { wrong.append("\(line)") }
                } else if let match = line.wholeMatch(
                    of: /((?:converge|process)_[a-z_]+)(\{[a-z]+="[0-9a-z.e+\-Inf_ ]+"\})? (\S+)/),
                    let value = Double(match.3)
                {
                    let name = String(match.1)
                    let family = [name, "_bucket", "_sum", "_count"].reduce(name) {
                        $0.hasSuffix($1) && $1 != name && types[$0] == nil ? String($0.dropLast($1.count)) : $0
                    }
                    if types[family] == nil || !helped.contains(family) { wrong.append("no TYPE or HELP: \(line)") }
                    if types[family] == "counter", !name.hasSuffix("_total") { wrong.append("\(line)") }
                    if samples.updateValue(value, forKey: name + (match.2 ?? "")) != nil {
                        wrong.append("twice: \(line)")
                    }
                } else {
                    wrong.append("\(line)")
                }
            }
            #expect(wrong.isEmpty)
            #expect(samples["converge_connections"] == 2)
            #expect(samples["converge_sessions"] == 1)
            #expect(samples["converge_rooms"] == 1)
            #expect(samples["converge_messages_total"] == 1)
            #expect(samples["converge_store_ready"] == 1)
            #expect((samples["converge_memory_resident_bytes"] ?? 0) > 1_000_000)
            #expect(samples["converge_commit_entries_bucket{le=\"+Inf\"}"] == samples["converge_commit_entries_count"])
            #expect(samples["converge_commit_entries_sum"] == 2)
            #expect((samples["converge_delivery_seconds_count"] ?? 0) > 0)
            #expect((samples["converge_delivery_seconds_sum"] ?? 0) > 0)
            #expect((samples["process_cpu_seconds_total"] ?? 0) > 0)
        }
    }

    @Test func `the status of a node that is alone tells of itself, and is no more than a second or two old`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            _ = try ann.ask(#"{"type":"crdt_orset_add","doc":"list","body":"milk","ref":"r"}"#, ref: "r")
            var report = NodeReport()
            try node.wait("a status with what was done") {
                let reply = try HTTPReply.get("/cluster", port: node.port)
                guard reply.status == 200 else { return false }
                #expect(reply.headers["content-type"] == "application/json")
                report = try NodeReport(json: Array(reply.body.utf8))
                return report.documents == 1 && report.logs.values.map(\.seq) == [2] && report.connections > 0
            }
            #expect(report.name == "test" && report.state == "ready" && report.version == ConvergeVersion.current)
            #expect(report.peers.isEmpty && report.cluster == nil)
            #expect(report.sessions == 1 && report.rooms == 1 && report.documentsDigest != 0)
            #expect(report.documentsVector.components.map(\.seq) == [2])
            let head = try HTTPReply.of(
                "HEAD /cluster HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", port: node.port)
            #expect(head.status == 200 && head.body.isEmpty && head.headers["content-length"] != "0")
            #expect(try HTTPReply.of("POST /cluster HTTP/1.1\r\nHost: x\r\n\r\n", port: node.port).status == 405)
        }
    }

    @Test func `echo is there only where it is asked for`() throws {
        try withNode { node throws in
            #expect(try HTTPReply.of(HTTPText.upgrade("/echo"), port: node.port).status == 404)
        }
        try withNode {
            $0.echo = true
        } _: { node in
            let echo = try node.open("/echo")
            let large = String(repeating: "0123456789abcdef", count: 20_000)
            try echo.send(large)
            guard case .text(let text) = try echo.arrival() else { throw TestFailure("no echo") }
            #expect(text == large)
            try echo.sendClose(4321)
            #expect(try echo.waitForClose().code == 4321)
        }
    }
}

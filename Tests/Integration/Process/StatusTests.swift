// The commands that look at nodes and copy their databases, as processes of their own.

import ConvergeNode
import Foundation
import Testing

@Suite struct StatusTests {
    @Test func `status prints a node that is well and ends with 0, also without being told where it is`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(
            database: folder.path("a.db"), environment: ["CONVERGE_NODE_NAME": "ann-arbor"])
        let deadline = Deadline()
        var output = ""
        while true {
            // The first snapshot may be of a node that starts.
            let status = try NodeProcess(["status"], environment: ["CONVERGE_ADDR": "0.0.0.0:\(node.port)"])
            let code = try status.waitForExit()
            output = status.output
            if code == 0 { break }
            if deadline.hasPassed { throw TestFailure(output) }
        }
        #expect(output.contains("ann-arbor  ready  \(ConvergeVersion.current)"))
        #expect(output.hasSuffix("\nwhole\n"))
        let json = try NodeProcess(["status", "http://127.0.0.1:\(node.port)", "--json"])
        #expect(try json.waitForExit() == 0)
        #expect(json.output.hasPrefix(#"{"whole":true,"documents":"alone","problems":[],"nodes":[{"url":"#))
        let watch = try NodeProcess(["status", "127.0.0.1:\(node.port)", "--watch", "--interval", "100ms"])
        let patience = Deadline()
        while watch.output.components(separatedBy: "\nwhole\n").count < 4 {
            if patience.hasPassed { throw TestFailure(watch.output) }
            usleep(20_000)
        }
        watch.kill(SIGTERM)
        #expect(try watch.waitForExit() == -SIGTERM)
    }

    @Test func `two nodes that do not know each other, or one that is not there, end with 1`() throws {
        let folder = try TemporaryFolder()
        let nodes = try ["a", "b"].map {
            try NodeProcess.serve(database: folder.path("\($0).db"), environment: ["CONVERGE_NODE_NAME": $0])
        }
        let strangers = try NodeProcess(["status"] + nodes.map { "http://127.0.0.1:\($0.port)" })
        #expect(try strangers.waitForExit() == 1)
        #expect(strangers.output.contains("not whole"))
        #expect(strangers.output.contains("a does not know b"))
        nodes[1].kill(SIGKILL)
        _ = try nodes[1].waitForExit()
        let missing = try NodeProcess(["status"] + nodes.map { "http://127.0.0.1:\($0.port)" })
        #expect(try missing.waitForExit() == 1)
        #expect(missing.output.contains("can't connect"))
    }

    @Test(
        "misuse ends with 2",
        arguments: [
            ["status", "ftp://x"], ["status", "http://x:1/other"], ["status", "--interval", "1s"],
            ["status", "--watch", "--interval", "0s"], ["status", "--wach"], ["backup"], ["backup", "a", "b"],
            ["backup", ""], ["redate", "x"], ["redate", "--dry"],
        ])
    func misuse(words: [String]) throws {
        let process = try NodeProcess(words, environment: ["PORT": "1"])
        #expect(try process.waitForExit() == 2)
        #expect(process.output.hasPrefix("converge: "))
    }

    @Test func `a backup under a node that is written to is restored with its history, under a new replica`() throws {
        let folder = try TemporaryFolder()
        let (database, copy) = (folder.path("a.db"), folder.path("backup.db"))
        let node = try NodeProcess.serve(database: database)
        let ann = try node.client("ann")
        for number in 0..<200 { _ = try ann.ask(#"{"body":"before \#(number)","ref":"r"}"#, ref: "r") }
        // Writing goes on while the copy is made.
        for number in 0..<50 { try ann.send(#"{"body":"during \#(number)"}"#) }
        let backup = try NodeProcess(["backup", copy], environment: ["CONVERGE_DB_PATH": database])
        #expect(try backup.waitForExit() == 0)
        #expect(backup.output.contains("is copied to \(copy)"))
        _ = try ann.ask(#"{"body":"after","ref":"last"}"#, ref: "last")
        #expect(try NodeProcess.history("lobby", by: ann).last?.body == "after")
        let again = try NodeProcess(["backup", copy], environment: ["CONVERGE_DB_PATH": database])
        #expect(try again.waitForExit() == 1)
        #expect(again.output.contains("is there already"))

        let restored = try NodeProcess.serve(database: copy)
        let bob = try restored.client("bob")
        let bodies = try NodeProcess.history("lobby", by: bob).map(\.body)
        let during = bodies.filter { $0.hasPrefix("during ") }
        #expect(bodies.filter { $0.hasPrefix("before ") } == (0..<200).map { "before \($0)" })
        #expect(during == (0..<during.count).map { "during \($0)" })
        #expect(!bodies.contains("after"))
        func replica(_ node: NodeProcess) throws -> String {
            try String(node.waitForLine(containing: "store opened").firstMatch(of: /replica=([0-9a-f]{16})/)?.1 ?? "")
        }
        #expect(try replica(restored) != replica(node))
        // Both go on, each with its own log.
        _ = try ann.ask(#"{"body":"here","ref":"r"}"#, ref: "r")
        _ = try bob.ask(#"{"body":"there","ref":"r"}"#, ref: "r")
    }

    @Test func `with PostgreSQL a backup is left to its tools`() throws {
        let process = try NodeProcess(["backup", "x"], environment: ["CONVERGE_DB_ADAPTER": "postgres"])
        #expect(try process.waitForExit() == 1)
        #expect(process.output.contains("pg_dump"))
    }
}

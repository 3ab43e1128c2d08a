// A database that a wrong clock has dated: what the node says of it, and what `converge redate` makes of it.

import CSQLite
import Foundation
import Testing

@Suite struct RedateTests {
    /// As if all had been written a century later.
    private static func date(_ database: String, ahead years: Int64) throws {
        var handle: OpaquePointer?
        guard sqlite3_open(database, &handle) == SQLITE_OK else { throw TestFailure("can't open \(database)") }
        defer { sqlite3_close(handle) }
        let lead = years * 365 * 86_400_000 << 16
        let tables = ["entry", "message_key", "attendance"].map { "UPDATE \($0) SET ts = ts + \(lead);" }.joined()
        let code = sqlite3_exec(handle, tables + "UPDATE replica SET clock = clock + \(lead)", nil, nil, nil)
        guard code == SQLITE_OK else { throw TestFailure("SQLite \(code)") }
    }

    private static func stop(_ node: NodeProcess) throws {
        node.kill(SIGTERM)
        #expect(try node.waitForExit() == 0)
    }

    @Test func `a store dated a century ahead is told of everywhere, and after redate everything is dated rightly`()
        throws
    {
        let folder = try TemporaryFolder()
        let database = folder.path("a.db")
        let environment = ["CONVERGE_DB_PATH": database]
        let first = try NodeProcess.serve(database: database)
        let ann = try first.client("ann")
        for number in 0..<3 { _ = try ann.ask(#"{"body":"\#(number)","ref":"r"}"#, ref: "r") }
        let busy = try NodeProcess(["redate"], environment: environment)
        #expect(try busy.waitForExit() == 1)
        try Self.stop(first)
        let nothing = try NodeProcess(["redate"], environment: environment)
        #expect(try nothing.waitForExit() == 0)
        try Self.date(database, ahead: 100)

        let ahead = try NodeProcess.serve(database: database)
        _ = try ahead.waitForLine(containing: "what is stored is dated far ahead of this node's clock")
        #expect(try HTTPReply.get("/ready", port: ahead.port).body.contains("ahead"))
        let metrics = try HTTPReply.get("/metrics", port: ahead.port).body
        let lead = metrics.firstMatch(of: /\nconverge_clock_ahead_seconds (\d+)\n/).flatMap { Int($0.1) } ?? 0
        #expect(lead > 99 * 365 * 86_400)
        let status = try NodeProcess(["status", "http://127.0.0.1:\(ahead.port)"], environment: [:])
        #expect(try status.waitForExit() == 1)
        // What it writes, alone as it is, is dated so, too.
        let year = Calendar(identifier: .gregorian).component(.year, from: Date())
        let dated = try ahead.client("bob").ask(#"{"body":"late","ref":"r"}"#, ref: "r")["timestamp"] ?? ""
        #expect(dated.hasPrefix("\(year + 99)") || dated.hasPrefix("\(year + 100)"))
        try Self.stop(ahead)

        let trial = try NodeProcess(["redate", "--dry-run"], environment: environment)
        #expect(try trial.waitForExit() == 0)
        let redate = try NodeProcess(["redate"], environment: environment)
        #expect(try redate.waitForExit() == 0)
        let mended = try NodeProcess.serve(database: database)
        #expect(try !HTTPReply.get("/ready", port: mended.port).body.contains("ahead"))
        let cid = try mended.client("cid")
        let right = try cid.ask(#"{"body":"now","ref":"r"}"#, ref: "r")["timestamp"] ?? ""
        #expect(right < "\(year + 1)-01-03")
        let history = try NodeProcess.history("lobby", by: cid).filter { $0.type == "message" }
        #expect(history.map(\.body) == ["0", "1", "2", "late", "now"])
        #expect(history.allSatisfy { ($0["timestamp"] ?? "~") < "\(year + 1)-01-03" })
        #expect(!mended.output.contains("dated far ahead"))
    }
}

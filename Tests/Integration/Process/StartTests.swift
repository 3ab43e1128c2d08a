// What a start can meet: a port in use, settings that are wrong, a database of the earlier Go server.

import CSQLite
import ConvergeNode
import Glibc
import Testing

@Suite struct StartTests {
    @Test func `a port in use ends with 1 and says so`() throws {
        let folder = try TemporaryFolder()
        let first = try NodeProcess.serve(database: folder.path("a.db"))
        let second = try NodeProcess(
            ["serve"],
            environment: [
                "CONVERGE_ADDR": "127.0.0.1:\(first.port)", "CONVERGE_DB_PATH": folder.path("b.db"),
                "CONVERGE_JWT_SECRET": "x",
            ])
        #expect(try second.waitForExit() == 1)
        #expect(second.output.contains("\(first.port)"))
        #expect(second.output.contains("in use"))
    }

    @Test("too few descriptors end with 1 and say how many it takes", arguments: [7, 20, 33])
    func fewDescriptors(limit: Int) throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess(
            ["serve"],
            environment: [
                "CONVERGE_ADDR": "127.0.0.1:0", "CONVERGE_DB_PATH": folder.path("a.db"), "CONVERGE_JWT_SECRET": "x",
                "CONVERGE_LOOPS": "1",
            ], openFiles: limit)
        #expect(try node.waitForExit() == 1)
        #expect(node.output.contains("the limit of descriptors is \(limit), and the node needs 34 for itself"))
        #expect(!node.output.contains("listening"))
    }

    @Test func `as many descriptors as are asked for serve a client, and few are warned of`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(
            database: folder.path("a.db"), environment: ["CONVERGE_LOOPS": "1"], openFiles: 34)
        #expect(try node.waitForLine(containing: "few descriptors").contains(" WARN "))
        let ann = try node.client("ann")
        #expect(try ann.ask(#"{"body":"hello","ref":"r"}"#, ref: "r").type == "ack")
    }

    @Test(
        "a bad setting ends with 2 and names its variable",
        arguments: [
            ("PORT", "70000"), ("PORT", "http"), ("CONVERGE_ADDR", "nowhere"), ("CONVERGE_DB_ADAPTER", "mysql"),
            ("CONVERGE_MAX_MESSAGE_BYTES", "-1"), ("CONVERGE_MAX_MESSAGE_BYTES", "9999999999999999999999"),
            ("CONVERGE_MAX_BODY_LENGTH", "0"), ("CONVERGE_MAX_ROOM_LENGTH", "many"),
            ("CONVERGE_MAX_USER_LENGTH", "1.5"),
            ("CONVERGE_MAX_SUBSCRIPTIONS", "0"), ("CONVERGE_HISTORY_LIMIT", "-5"), ("CONVERGE_SEND_BUFFER", "0"),
            ("CONVERGE_SAVE_BUFFER", "x"),
            ("CONVERGE_STORE_TIMEOUT", "2"), ("CONVERGE_STORE_TIMEOUT", "-2s"), ("CONVERGE_WRITE_WAIT", "soon"),
            ("CONVERGE_PONG_WAIT", "1000000h"), ("CONVERGE_PING_PERIOD", "2m"), ("CONVERGE_READ_TIMEOUT", "0s"),
            ("CONVERGE_SQLITE_SYNC", "off"), ("CONVERGE_SYSTEM_EVENTS", "yes"), ("CONVERGE_LOG", "loud"),
            ("CONVERGE_LOG_FORMAT", "xml"), ("CONVERGE_LOOPS", "-1"), ("CONVERGE_ECHO", "maybe"),
        ])
    func badSetting(variable: String, value: String) throws {
        var environment = ["CONVERGE_JWT_SECRET": "x", "CONVERGE_ADDR": "127.0.0.1:0"]
        environment[variable] = value
        let process = try NodeProcess(["serve"], environment: environment)
        #expect(try process.waitForExit() == 2)
        #expect(process.output.contains(variable))
    }

    @Test func `serve --check prints the settings, secrets masked, and ends`() throws {
        let folder = try TemporaryFolder()
        let process = try NodeProcess(
            ["serve", "--check"],
            environment: ["CONVERGE_JWT_SECRET": "very-secret", "CONVERGE_DB_PATH": folder.path("never.db")])
        #expect(try process.waitForExit() == 0)
        #expect(process.output.contains("CONVERGE_DB_PATH"))
        #expect(process.output.contains("never.db"))
        #expect(!process.output.contains("very-secret"))
        #expect(access(folder.path("never.db"), F_OK) != 0)
        let bad = try NodeProcess(["serve", "--check"], environment: ["PORT": "-1"])
        #expect(try bad.waitForExit() == 2)
    }

    @Test func `converge secret prints 43 characters of base64url, others each time, and takes no words`() throws {
        var seen: Set<String> = []
        for _ in 1...3 {
            let process = try NodeProcess(["secret"])
            #expect(try process.waitForExit() == 0)
            #expect(process.output.wholeMatch(of: /[A-Za-z0-9_-]{43}\n/) != nil)
            seen.insert(process.output)
        }
        #expect(seen.count == 3)
        #expect(try NodeProcess(["secret", "mine"]).waitForExit() == 2)
    }

    @Test func `the log never shows a token or a body`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("converge.db"), environment: ["CONVERGE_LOG": "debug"])
        let ann = try node.client("ann")
        _ = try ann.ask(#"{"body":"words-nobody-logs","ref":"r"}"#, ref: "r")
        try ann.send("{nonsense-nobody-logs")
        _ = try ann.next("error")
        try ann.socket.send(BadFrameTests.raw(0x83, []))
        try ann.waitForEnd()
        _ = try node.open(token: "bad-token-nobody-logs").waitForClose()
        node.kill(SIGTERM)
        #expect(try node.waitForExit() == 0)
        #expect(node.output.contains("stopped"))
        #expect(!node.output.contains("nobody-logs"))
        #expect(!node.output.contains(Tokens.secret))
        #expect(!node.output.contains(Tokens.of("ann").suffix(20)))
    }

    // MARK: The earlier server's database

    /// The schemas that the Go server has had.
    static let goSchemas = [
        """
        CREATE TABLE messages(id TEXT PRIMARY KEY, type TEXT, room TEXT, user_id TEXT, display_name TEXT, body TEXT, ts TEXT);
        INSERT INTO messages VALUES
          ('b2', 'message', 'dev', 'ann', 'Ann', 'second', '2024-05-01T10:00:01.5Z'),
          ('a1', 'system', 'dev', 'ann', 'Ann', 'Ann joined', '2024-05-01T10:00:00Z'),
          ('c3', 'message', 'other', 'bob', 'Bob', 'elsewhere', '2024-05-01T12:00:00+02:00');
        """,
        """
        CREATE TABLE messages(id TEXT PRIMARY KEY, type TEXT, room TEXT, user TEXT, body TEXT, ts TEXT);
        INSERT INTO messages VALUES
          ('b2', 'message', 'dev', 'ann', 'second', '2024-05-01T10:00:01.5Z'),
          ('a1', 'system', 'dev', 'ann', 'ann joined', '2024-05-01T10:00:00Z'),
          ('c3', 'message', 'other', 'bob', 'elsewhere', '2024-05-01T12:00:00+02:00');
        """,
    ]

    @Test("a database of the Go server is served", arguments: goSchemas.indices)
    func goDatabase(schema: Int) throws {
        let folder = try TemporaryFolder()
        let database = folder.path("converge.db")
        var handle: OpaquePointer?
        #expect(sqlite3_open(database, &handle) == SQLITE_OK)
        #expect(sqlite3_exec(handle, Self.goSchemas[schema], nil, nil, nil) == SQLITE_OK)
        sqlite3_close(handle)

        // Twice: taking over once must be enough.
        for start in 1...2 {
            let node = try NodeProcess.serve(database: database)
            let reader = try node.client("reader", room: "own")
            let dev = try NodeProcess.history("dev", by: reader).filter { !$0.body.hasSuffix(" left") }
            let name = schema == 0 ? "Ann" : "ann"
            #expect(dev.map(\.body) == ["\(name) joined", "second"], "start \(start)")
            #expect(dev.map(\.type) == ["system", "message"])
            #expect(dev.map(\.user) == ["ann", "ann"])
            #expect(dev.map { $0["display_name"] } == [name, name])
            #expect(dev.last?["timestamp"]?.hasPrefix("2024-05-01T10:00:01.5") == true)
            #expect(try NodeProcess.history("other", by: reader).map(\.body) == ["elsewhere"])
            node.kill(SIGTERM)
            #expect(try node.waitForExit() == 0)
        }
    }
}

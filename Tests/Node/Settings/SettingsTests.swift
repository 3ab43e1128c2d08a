import Testing

@testable import ConvergeNode

@Suite("Settings")
struct SettingsTests {
    /// Reads them, and gives the messages of what was wrong.
    private func problems(_ environment: [String: String], flags: [String: String] = [:]) -> [String] {
        do {
            _ = try Settings(environment: environment, flags: flags)
            return []
        } catch {
            return error.errors.map(\.message)
        }
    }

    @Test("without an environment everything has its documented default")
    func defaults() throws {
        let settings = try Settings(environment: [:])
        let shown = Dictionary(uniqueKeysWithValues: Setting.all.map { ($0.variable, $0.show(settings)) })
        #expect(
            shown == [
                "PORT": "8080", "CONVERGE_HOST": "0.0.0.0", "CONVERGE_ADDR": "0.0.0.0:8080",
                "CONVERGE_TLS_CERT": "", "CONVERGE_TLS_KEY": "", "CONVERGE_DB_ADAPTER": "sqlite",
                "CONVERGE_DB_PATH": "converge.db", "CONVERGE_DB_DSN": "",
                "CONVERGE_ALLOWED_ORIGINS": "*", "CONVERGE_TRUSTED_PROXIES": "", "CONVERGE_MAX_MESSAGE_BYTES": "65536",
                "CONVERGE_MAX_BODY_LENGTH": "2000", "CONVERGE_MAX_ROOM_LENGTH": "64", "CONVERGE_MAX_USER_LENGTH": "64",
                "CONVERGE_MAX_SUBSCRIPTIONS": "128", "CONVERGE_HISTORY_LIMIT": "200", "CONVERGE_SEND_BUFFER": "256",
                "CONVERGE_SAVE_BUFFER": "4096",
                "CONVERGE_STORE_TIMEOUT": "2s", "CONVERGE_COMMIT_PACE": "0", "CONVERGE_WRITE_WAIT": "10s",
                "CONVERGE_PONG_WAIT": "1m",
                "CONVERGE_PING_PERIOD": "54s", "CONVERGE_READ_TIMEOUT": "10s", "CONVERGE_WRITE_TIMEOUT": "10s",
                "CONVERGE_IDLE_TIMEOUT": "1m", "CONVERGE_JWT_SECRET": "", "CONVERGE_JWT_SECRET_FILE": "",
                "CONVERGE_REQUIRE_STRONG_SECRET": "0", "CONVERGE_JWT_ISSUER": "", "CONVERGE_JWT_AUDIENCE": "",
                "CONVERGE_NODE_NAME": "host name",
                "CONVERGE_SQLITE_SYNC": "full", "CONVERGE_LOOPS": "0", "CONVERGE_RETENTION": "0",
                "CONVERGE_KEY_WINDOW": "24h", "CONVERGE_ACCEPT_AHEAD": "24h", "CONVERGE_SYSTEM_EVENTS": "stored",
                "CONVERGE_ECHO": "0",
                "CONVERGE_LOG": "info", "CONVERGE_LOG_FORMAT": "text", "CONVERGE_GOSSIP_ADDR": "",
                "CONVERGE_GOSSIP_ADVERTISE": "", "CONVERGE_PEERS": "", "CONVERGE_CLUSTER_SECRET": "",
                "CONVERGE_CLUSTER_NAME": "converge", "CONVERGE_PROBE_INTERVAL": "1s", "CONVERGE_SUSPECT_TIMEOUT": "4s",
            ])
        #expect(settings.sources.isEmpty)
    }

    private static let long = String(repeating: "s", count: 32)

    /// (variable, a good value, how it shows, values that are refused)
    private static let table: [(String, String, String, [String])] = [
        ("PORT", "0", "0", ["-1", "65536", "abc", "80 80", "+80", "8080.0", "٣"]),
        ("CONVERGE_HOST", "[::1]", "::1", ["localhost:8080", "a b", "http://x", "-x"]),
        ("CONVERGE_ADDR", ":9000", "0.0.0.0:9000", ["9000", "x", ":", ":70000", "::1:80"]),
        ("CONVERGE_DB_ADAPTER", "SQLite", "sqlite", ["mysql", "1"]),
        ("CONVERGE_DB_PATH", "/var/lib/converge/a.db", "/var/lib/converge/a.db", [":memory:", "dir/", "a\u{0}b"]),
        ("CONVERGE_DB_DSN", "postgres://a@b/c", "postgres://a@b/c", ["mysql://b", "b"]),
        (
            "CONVERGE_ALLOWED_ORIGINS", " https://a.example , http://localhost:3000,,",
            "https://a.example,http://localhost:3000",
            ["example.org", "https://", "https://a/b", "http://a b", "://a", "https://*.example.org", ",", ", ,"]
        ),
        (
            "CONVERGE_TRUSTED_PROXIES", " 10.0.0.0/8 ,::1,", "10.0.0.0/8,::1/128",
            ["proxy", "10.0.0.1/8", "10.0.0.0/33", "127.0.0.1:80", ",", "all"]
        ),
        ("CONVERGE_MAX_MESSAGE_BYTES", "1024", "1024", ["0", "-1", "64k", "999999999999", "9223372036854775808"]),
        ("CONVERGE_MAX_BODY_LENGTH", "1", "1", ["0", "-5", "x", "99999999999"]),
        ("CONVERGE_MAX_ROOM_LENGTH", "4096", "4096", ["0", "-5", "x", "4097"]),
        ("CONVERGE_MAX_USER_LENGTH", "4096", "4096", ["0", "-5", "x", "4097"]),
        ("CONVERGE_HISTORY_LIMIT", "10000", "10000", ["0", "-5", "x", "10001"]),
        ("CONVERGE_SEND_BUFFER", "16", "16", ["0", "-5", "x", "1000001"]),
        ("CONVERGE_MAX_SUBSCRIPTIONS", "16", "16", ["0", "-5", "x", "10001"]),
        ("CONVERGE_SAVE_BUFFER", "16", "16", ["0", "-5", "x", "1000001"]),
        ("CONVERGE_STORE_TIMEOUT", "500ms", "500ms", ["0", "2", "-2s", "2 s", "2h", "x"]),
        ("CONVERGE_COMMIT_PACE", "0.5ms", "500us", ["1us", "2", "-2ms", "2s", "x"]),
        ("CONVERGE_WRITE_WAIT", "1m30s", "1m30s", ["0", "2", "-2s", "2h", "x"]),
        ("CONVERGE_PONG_WAIT", "20s", "20s", ["0", "2", "-2s", "1ms", "25h", "x"]),
        ("CONVERGE_PING_PERIOD", "59s", "59s", ["0", "2", "-2s", "60s", "25h", "x"]),
        ("CONVERGE_READ_TIMEOUT", "1s", "1s", ["0", "2", "-2s", "2h", "x"]),
        ("CONVERGE_WRITE_TIMEOUT", "1s", "1s", ["0", "2", "-2s", "2h", "x"]),
        ("CONVERGE_IDLE_TIMEOUT", "1s", "1s", ["0", "2", "-2s", "25h", "x"]),
        (
            "CONVERGE_JWT_SECRET", " s ", Secret.mask,
            [String(repeating: "s", count: 4_097), " ", "\n", " \t\r\n", "\u{FEFF}s", "a\u{FFFD}"]
        ),
        ("CONVERGE_REQUIRE_STRONG_SECRET", "1", "1", ["2", "yes", "-1"]),
        ("CONVERGE_TLS_CERT", "/etc/cert.pem", "/etc/cert.pem", ["a\nb"]),
        ("CONVERGE_TLS_KEY", "/etc/key.pem", "/etc/key.pem", ["a\nb"]),
        ("CONVERGE_JWT_SECRET_FILE", "/run/secrets/jwt", "/run/secrets/jwt", ["a\nb"]),
        (
            "CONVERGE_JWT_ISSUER", "https://issuer", "https://issuer",
            ["a\u{1B}[2J", String(repeating: "i", count: 1_025)]
        ),
        ("CONVERGE_JWT_AUDIENCE", "chat", "chat", ["a\u{202E}", String(repeating: "i", count: 1_025)]),
        ("CONVERGE_NODE_NAME", "node-1.a_b", "node-1.a_b", ["node 1", "é", "a\"b", String(repeating: "n", count: 65)]),
        ("CONVERGE_GOSSIP_ADDR", "127.0.0.1:0", "127.0.0.1:0", ["7946", "a b:1", "::1:80", "127.0.0.1:70000"]),
        ("CONVERGE_GOSSIP_ADVERTISE", "chat-1.example:7946", "chat-1.example:7946", [":7946", "a:0", "a", "a b:1"]),
        ("CONVERGE_PEERS", "a:1,[::1]:2", "a:1,[::1]:2", ["a", "a:1,b", ":1", "a:0", "a b:1"]),
        (
            "CONVERGE_CLUSTER_SECRET", long, Secret.mask,
            ["short", long + ",short", "\(long),\(long),\(long)", long + ",", "\u{FEFF}" + long]
        ),
        ("CONVERGE_CLUSTER_NAME", "blue", "blue", ["a\u{1B}[2J", String(repeating: "n", count: 65)]),
        ("CONVERGE_PROBE_INTERVAL", "200ms", "200ms", ["0", "2", "-2s", "2m", "x"]),
        ("CONVERGE_SUSPECT_TIMEOUT", "800ms", "800ms", ["0", "2", "-2s", "2h", "x"]),
        ("CONVERGE_SQLITE_SYNC", "NORMAL", "normal", ["off", "1"]),
        ("CONVERGE_LOOPS", "4", "4", ["-1", "1025", "x"]),
        ("CONVERGE_RETENTION", "720h", "720h", ["-1h", "500ms", "876001h", "36501d", "x"]),
        ("CONVERGE_KEY_WINDOW", "1h", "1h", ["0", "-1h", "8761h", "x"]),
        ("CONVERGE_ACCEPT_AHEAD", "8760h", "8760h", ["23h", "0", "-48h", "876001h", "x"]),
        ("CONVERGE_SYSTEM_EVENTS", "live", "live", ["on", "1"]),
        ("CONVERGE_ECHO", "1", "1", ["2", "yes", "-1"]),
        ("CONVERGE_LOG", "debug", "debug", ["verbose", "3"]),
        ("CONVERGE_LOG_FORMAT", "json", "json", ["xml"]),
    ]

    /// What makes sense only beside others: peers with an address to listen on for them, a certificate with its key.
    private static let company = [
        "CONVERGE_PEERS": ["CONVERGE_GOSSIP_ADDR": "127.0.0.1:1"], "CONVERGE_TLS_CERT": ["CONVERGE_TLS_KEY": "k"],
        "CONVERGE_TLS_KEY": ["CONVERGE_TLS_CERT": "c"],
    ]

    @Test("every setting is in the table of tests")
    func complete() {
        #expect(Set(Self.table.map(\.0)) == Set(Setting.all.map(\.variable)))
    }

    @Test("a good value is taken, from the environment and from a flag", arguments: table)
    func good(variable: String, good: String, shown: String, bad: [String]) throws {
        let setting = try #require(Setting.all.first { $0.variable == variable })
        let company = Self.company[variable] ?? [:]
        let read = try Settings(environment: company.merging([variable: good]) { $1 })
        #expect(setting.show(read) == shown)
        #expect(read.sources.filter { company[$0.key] == nil } == [variable: .environment])
        if let flag = setting.flag {
            let flagged = try Settings(
                environment: company.merging([variable: "\u{7}nonsense"]) { $1 }, flags: [flag: good])
            #expect(setting.show(flagged) == shown)
            #expect(flagged.sources.filter { company[$0.key] == nil } == [variable: .flag])
        }
    }

    @Test("a bad value is an error that names the variable, the value and what is accepted", arguments: table)
    func bad(variable: String, good: String, shown: String, bad: [String]) throws {
        let setting = try #require(Setting.all.first { $0.variable == variable })
        for value in bad {
            let found = problems([variable: value])
            #expect(found.count == 1 && found[0].hasPrefix(variable) && found[0].contains("must"), "\(value): \(found)")
            let isShown =
                variable != "CONVERGE_DB_DSN" && Setting.all.contains { $0.variable == variable && !$0.isSecret }
            if isShown && value.isPrintable
                && value.utf8.count < 80
            {
                #expect(found.first?.contains("\"\(value)\"") == true || variable == "CONVERGE_PING_PERIOD")
            }
            guard let flag = setting.flag else { continue }
            let flagged = problems([:], flags: [flag: value])
            #expect(flagged.count == 1 && flagged[0].contains("must"), "\(value): \(flagged)")
        }
    }

    @Test("a variable that is set to nothing counts as not set", arguments: table)
    func empty(variable: String, good: String, shown: String, bad: [String]) throws {
        let settings = try Settings(environment: [variable: "", "CONVERGE_TOKEN": " "])
        #expect(settings.sources.isEmpty)
    }

    @Test("a flag that is set to nothing is an error")
    func emptyFlag() {
        #expect(problems([:], flags: ["port": ""]) == ["--port=\"\": must be a whole number from 0 to 65535"])
    }

    @Test("blanks around a value are not part of it")
    func blanks() throws {
        #expect(try Settings(environment: ["PORT": " 81\r\n"]).options.port == 81)
    }

    @Test("an address is over host and port, and a flag over any variable")
    func order() throws {
        let environment = ["PORT": "1", "CONVERGE_HOST": "a", "CONVERGE_ADDR": "b:2"]
        let read = try Settings(environment: environment)
        #expect(read.options.host == "b" && read.options.port == 2)
        let flagged = try Settings(environment: environment, flags: ["port": "3"])
        #expect(flagged.options.host == "b" && flagged.options.port == 3)
        let both = try Settings(environment: environment, flags: ["port": "3", "addr": "c:4"])
        #expect(both.options.host == "c" && both.options.port == 4)
    }

    @Test("short names of flags work, unknown flags don't")
    func flags() throws {
        let settings = try Settings(environment: [:], flags: ["db": "x.db", "adapter": "sqlite"])
        #expect(settings.store == .sqlite(path: "x.db", sync: .full))
        #expect(problems([:], flags: ["jwt-secret": "s"]) == ["--jwt-secret: there is no such flag"])
    }

    @Test("the ping period follows the pong wait, and must be less")
    func ping() throws {
        #expect(try Settings(environment: ["CONVERGE_PONG_WAIT": "10s"]).options.pingPeriod == .seconds(9))
        #expect(
            problems(["CONVERGE_PONG_WAIT": "10s", "CONVERGE_PING_PERIOD": "10s"]) == [
                "CONVERGE_PING_PERIOD=\"10s\": must be less than CONVERGE_PONG_WAIT (10s)"
            ])
    }

    @Test("postgres needs a connection string")
    func postgres() throws {
        for name in ["postgres", "postgresql"] {
            let found = problems(["CONVERGE_DB_ADAPTER": name])
            #expect(found.count == 1 && found[0].hasPrefix("CONVERGE_DB_DSN: must be set"))
        }
        let settings = try Settings(environment: ["CONVERGE_DB_ADAPTER": "postgresql", "CONVERGE_DB_DSN": "host=db"])
        #expect(settings.store == .postgres(dsn: Secret("host=db")))
        #expect(problems(["CONVERGE_DB_ADAPTER": "postgres", "CONVERGE_DB_DSN": "nonsense"]).count == 1)
    }

    @Test("a connection string that libpq would read otherwise is refused, and its password is not told")
    func misreadPostgres() {
        let adapter = ["CONVERGE_DB_ADAPTER": "postgres"]
        for dsn in [
            "postgres://ana:hunter@2@db/chat", "postgres://ana:hunter%2@db/chat", "host=db password=hunter2 x=y",
        ] {
            let found = problems(adapter.merging(["CONVERGE_DB_DSN": dsn]) { $1 })
            #expect(found.count == 1 && found[0].hasPrefix("CONVERGE_DB_DSN: must ") && !found[0].contains("hunter"))
        }
        #expect(
            problems(adapter.merging(["CONVERGE_DB_DSN": "postgres://ana@db/chat?sslmod=require"]) { $1 }) == [
                "CONVERGE_DB_DSN: must not have the option \"sslmod\", which libpq does not know"
            ])
    }

    @Test("a password in a flag is refused, in the environment it is masked")
    func passwords() throws {
        let dsn = "postgres://ana:hunter2@db/chat"
        let found = problems(["CONVERGE_DB_ADAPTER": "postgres"], flags: ["dsn": dsn])
        #expect(found.count == 1 && found[0].contains("must not hold a password") && !found[0].contains("hunter2"))
        let settings = try Settings(environment: ["CONVERGE_DB_ADAPTER": "postgres", "CONVERGE_DB_DSN": dsn])
        #expect(settings.listing.contains("postgres://ana:********@db/chat"))
        #expect(!problems(["CONVERGE_DB_DSN": "hunter2"]).joined().contains("hunter2"))
    }

    @Test("no secret is ever printed")
    func secrets() throws {
        let settings = try Settings(environment: ["CONVERGE_JWT_SECRET": "hunter2"])
        var dumped = ""
        dump(settings, to: &dumped)
        let texts = [
            settings.listing, "\(settings)", String(reflecting: settings), dumped, settings.warnings.joined(),
            "\(Secret("hunter2"))",
        ]
        #expect(texts.allSatisfy { !$0.contains("hunter2") })
        #expect(settings.options.jwtSecret?.bytes == Array("hunter2".utf8))
        let long = String(repeating: "hunter2", count: 1_000)
        #expect(!problems(["CONVERGE_JWT_SECRET": long]).joined().contains("hunter2"))
    }

    @Test("a secret is the same in a variable as in a file: without the line end behind it")
    func lineEnd() throws {
        for written in ["s3cret\n", "s3cret\r\n", "s3cret"] {
            let settings = try Settings(environment: ["CONVERGE_JWT_SECRET": written])
            #expect(settings.options.jwtSecret == Secret("s3cret"))
            #expect(try Secret(variable: "X", value: written) == Secret("s3cret"))
        }
        #expect(try Secret(variable: "X", value: " a b ").bytes == Array(" a b ".utf8))
    }

    @Test("a secret that can be guessed is taken and warned of, or refused where that is asked for")
    func weakness() throws {
        let short = String(repeating: "s", count: 31)
        let warned = try Settings(environment: ["CONVERGE_JWT_SECRET": short])
        #expect(
            warned.warnings == [
                "CONVERGE_JWT_SECRET: the secret has under 32 bytes and can be guessed: `converge secret` makes a good one"
            ])
        // Its line end is no part of it.
        #expect(try Settings(environment: ["CONVERGE_JWT_SECRET": short + "\n"]).warnings.count == 1)
        #expect(try Settings(environment: ["CONVERGE_JWT_SECRET": long]).warnings == [])
        let strict = ["CONVERGE_REQUIRE_STRONG_SECRET": "1"]
        let refused = problems(strict.merging(["CONVERGE_JWT_SECRET": short]) { $1 })
        #expect(refused.count == 1 && refused[0].hasPrefix("CONVERGE_JWT_SECRET: ") && !refused[0].contains(short))
        #expect(problems(strict.merging(["CONVERGE_JWT_SECRET": long]) { $1 }) == [])
        // A file stands in for it, and is judged when it is read.
        #expect(problems(strict.merging(["CONVERGE_JWT_SECRET": short]) { $1 }, flags: ["jwt-secret-file": "f"]) == [])
    }

    private let long = Self.long

    @Test("a secret file stands in for the secret, not beside it")
    func secretFile() throws {
        let both = ["CONVERGE_JWT_SECRET": "a", "CONVERGE_JWT_SECRET_FILE": "b"]
        #expect(problems(both) == ["CONVERGE_JWT_SECRET_FILE: must not be set beside CONVERGE_JWT_SECRET"])
        let flagged = try Settings(environment: ["CONVERGE_JWT_SECRET": "a"], flags: ["jwt-secret-file": "b"])
        #expect(flagged.options.jwtSecret == nil && flagged.jwtSecretFile == "b")
    }

    @Test("a certificate and its key come together, and both can be read")
    func certificate() throws {
        #expect(problems(["CONVERGE_TLS_CERT": "c"]) == ["CONVERGE_TLS_KEY: must be set beside CONVERGE_TLS_CERT"])
        #expect(problems(["CONVERGE_TLS_KEY": "k"]) == ["CONVERGE_TLS_CERT: must be set beside CONVERGE_TLS_KEY"])
        var settings = try Settings(environment: ["CONVERGE_TLS_CERT": "/nowhere/c.pem"], flags: ["tls-key": "k.pem"])
        #expect(settings.options.tls == TLSFiles(certificate: "/nowhere/c.pem", key: "k.pem"))
        #expect(
            throws: SettingsError(
                variable: "CONVERGE_TLS_CERT", value: "/nowhere/c.pem", problem: "No such file or directory")
        ) { try settings.checkCertificate() }
        #expect(try Settings(environment: [:]).options.tls == nil)
    }

    @Test("a node with an address for peers is one of several, and knows where the others are")
    func cluster() throws {
        #expect(try Settings(environment: ["CONVERGE_CLUSTER_NAME": "blue"]).options.cluster == nil)
        let settings = try Settings(environment: [
            "CONVERGE_GOSSIP_ADDR": "0.0.0.0:7946", "CONVERGE_PEERS": " a:1, [::1]:2,,a:1 ",
            "CONVERGE_CLUSTER_SECRET": "\(Self.long) , \(Self.long)x", "CONVERGE_PROBE_INTERVAL": "200ms",
        ])
        let cluster = try #require(settings.options.cluster)
        #expect(cluster.host == "0.0.0.0" && cluster.port == 7_946 && cluster.advertise == nil)
        #expect(cluster.peers == ["a:1", "[::1]:2"])
        #expect(cluster.secrets == [Secret(Self.long), Secret(Self.long + "x")])
        #expect(cluster.name == "converge" && cluster.probeInterval == .milliseconds(200))
        #expect(cluster.suspectTimeout == .seconds(4))
    }

    @Test("peers without an address to listen on, or beyond loopback without a secret, are refused")
    func halfACluster() throws {
        #expect(
            problems(["CONVERGE_PEERS": "a:1"]) == [
                "CONVERGE_PEERS: needs CONVERGE_GOSSIP_ADDR: where this node listens for its peers"
            ])
        for address in [":7946", "10.1.2.3:7946", "[::]:7946"] {
            let found = problems(["CONVERGE_GOSSIP_ADDR": address])
            #expect(found.count == 1 && found[0].contains("needs CONVERGE_CLUSTER_SECRET"), "\(found)")
        }
        for address in ["127.0.0.1:7946", "[::1]:7946", "127.8.8.8:0", "localhost:7946"] {
            #expect(try Settings(environment: ["CONVERGE_GOSSIP_ADDR": address]).options.cluster != nil)
        }
        #expect(problems(["CONVERGE_CLUSTER_SECRET": "hunter2"]).joined().contains("hunter2") == false)
    }

    @Test("unknown variables of ours give a warning, with what was probably meant")
    func unknown() throws {
        let settings = try Settings(environment: [
            "CONVERGE_HISTROY_LIMIT": "5", "CONVERGE_XYZZY": "1", "CONVERGE_CLUSTER_NAME": "a", "OTHER": "1",
            "CONVERGE_TOKEN": "t", "CONVERGE_JWT_SECRET": long, "CONVERGE_PORT": "9000",
        ])
        #expect(
            settings.warnings == [
                "CONVERGE_HISTROY_LIMIT is not a setting: did you mean CONVERGE_HISTORY_LIMIT?",
                "CONVERGE_PORT is not a setting: did you mean PORT?", "CONVERGE_XYZZY is not a setting",
                "CONVERGE_CLUSTER_NAME has no effect: without CONVERGE_GOSSIP_ADDR this is a single node",
            ])
    }

    @Test("all that is wrong is told at once")
    func together() {
        #expect(problems(["PORT": "x", "CONVERGE_LOG": "y", "CONVERGE_LOOPS": "z"]).count == 3)
    }

    @Test("an error can't carry escape sequences or a flood to the terminal")
    func hostile() {
        let found = problems(["PORT": "\u{1B}[2J" + String(repeating: "x", count: 10_000)])
        #expect(found.count == 1 && found[0].isPrintable && found[0].count < 200)
    }

    @Test("flags have one name each and no two settings share one")
    func flagNames() {
        let names = Setting.all.flatMap { $0.aliases + ($0.flag.map { [$0] } ?? []) }
        #expect(Set(names).count == names.count)
        #expect(Setting.all.filter(\.isSecret).allSatisfy { $0.flag == nil })
        #expect(names.contains("history-limit") && names.contains("port") && names.contains("db-dsn"))
    }

    @Test("help and the table name every setting")
    func help() {
        for setting in Setting.all {
            #expect(Settings.help.contains(setting.variable))
            #expect(Settings.markdown.contains("`\(setting.variable)`"))
        }
    }
}

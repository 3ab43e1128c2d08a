import ConvergeWire
import Testing

@testable import ConvergeNode

/// What becomes of a request, row by row.
@Suite("Admission") struct AdmissionTests {
    /// The decision in one line: a status, or the kind of upgrade and what it says.
    private func decide(
        _ target: String, method: String = "GET", _ fields: [String] = [], upgrade: Bool? = nil,
        origins: [String]? = nil, echo: Bool = false, showsCause: Bool = false, ready: Bool = true,
        metrics: Metrics = Metrics(depths: .init())
    ) throws -> String {
        var admission = Admission(
            limits: SessionLimits(body: 10, room: 6, user: 5), allowedOrigins: origins, echo: echo,
            verifier: TokenVerifier(secret: TestToken.secret, issuer: nil, audience: nil))
        var lines = ["\(method) \(target) HTTP/1.1", "Host: h"] + fields
        if upgrade ?? (target.hasPrefix("/ws") || target.hasPrefix("/echo")) {
            lines += [
                "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ]
        }
        let text = lines.joined(separator: "\r\n") + "\r\n\r\n"
        var parser = RequestParser()
        let step = Array(text.utf8).withUnsafeBytes { parser.receive($0).step }
        guard case .request(let request) = step else { return "no request" }
        metrics.storeReady.set(ready ? 1 : 0)
        func checked(_ handshake: Admission.Handshake, _ words: String) -> String {
            guard String(decoding: handshake.accept, as: UTF8.self) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" else {
                return "wrong accept"
            }
            return words + (handshake.subprotocol.map { " by \($0)" } ?? "")
        }
        switch admission.decide(request, metrics: metrics, wall: 1_000_000) {
        case .respond(let response): return "\(response.status.rawValue)"
        case .chat(let handshake, let session):
            let from =
                switch session.resume {
                case .at(let cursor)?: " from \(cursor.components)"
                case .unusable?: " from anywhere"
                case nil: ""
                }
            let place = session.room.map { " in \($0)" } ?? ""
            return checked(handshake, "\(session.user) (\(session.displayName))\(place)\(from)")
        case .ask(let handshake): return checked(handshake, "who?")
        case .refuse(let handshake, let reason, let cause):
            return checked(handshake, "closed: " + (showsCause ? cause : reason.string))
        case .forbid(let origin): return "forbidden: \(origin)"
        case .echo(let handshake): return checked(handshake, "echo")
        }
    }

    private let token = TestToken.make()

    @Test("paths and methods")
    func paths() throws {
        #expect(try decide("/health") == "200")
        #expect(try decide("/health", method: "HEAD") == "200")
        #expect(try decide("/health", method: "POST") == "405")
        #expect(try decide("/health", ["Content-Length: 3"]) == "413")
        #expect(try decide("/health?x=1") == "200")
        #expect(try decide("/healthy") == "404")
        #expect(try decide("/") == "404")
        #expect(try decide("/metrics") == "200")
        #expect(try decide("/cluster") == "503")
        let running = Metrics(depths: .init())
        running.publish(ClusterStatus.sample(peers: 1))
        #expect(try decide("/cluster", metrics: running) == "200")
        #expect(try decide("/cluster", method: "HEAD", metrics: running) == "200")
        #expect(try decide("/cluster", method: "POST", metrics: running) == "405")
        #expect(try decide("/cluster", ["Content-Length: 3"], metrics: running) == "413")
        #expect(try decide("/cluster/x", metrics: running) == "404")
        #expect(try decide("/ready") == "200")
        #expect(try decide("/ready", ready: false) == "503")
        #expect(try decide("/echo") == "404")
        #expect(try decide("/echo", echo: true) == "echo")
        #expect(try decide("/echo", upgrade: false, echo: true) == "426")
        #expect(try decide("/ws", method: "POST") == "405")
        #expect(try decide("/ws", method: "HEAD") == "405")
        #expect(try decide("/ws", upgrade: false) == "426")
    }

    @Test("a node that stops is not ready")
    func stopping() throws {
        let metrics = Metrics(depths: .init())
        metrics.stopping.set(1)
        #expect(try decide("/ready", metrics: metrics) == "503")
        #expect(metrics.unreadiness == "stopping")
    }

    @Test("rooms: trimmed, decoded, lobby where there is none, and no longer than may be")
    func rooms() throws {
        #expect(try decide("/ws?token=\(token)") == "ann (Ann) in lobby")
        #expect(try decide("/ws?room=&token=\(token)") == "ann (Ann) in lobby")
        #expect(try decide("/ws?room=+%20&token=\(token)") == "ann (Ann) in lobby")
        #expect(try decide("/ws?room=%20dev+&token=\(token)") == "ann (Ann) in dev")
        #expect(try decide("/ws?room=123456&token=\(token)") == "ann (Ann) in 123456")
        #expect(try decide("/ws?room=1234567&token=\(token)") == "closed: invalid room or user")
        #expect(try decide("/ws?room=%C3%A9%C3%A9%C3%A9%C3%A9&token=\(token)") == "closed: invalid room or user")
        #expect(try decide("/ws?room=%FF&token=\(token)") == "400")
    }

    @Test("a cursor in the URL is read, or known to be none")
    func cursors() throws {
        func entered(_ cursor: String) throws -> String { try decide("/ws?cursor=\(cursor)&token=\(token)") }
        #expect(try entered("") == "ann (Ann) in lobby")
        #expect(try entered("%7B%7D") == "ann (Ann) in lobby from []")
        #expect(
            try entered("%7B%2200000000000000ab%22%3A5%7D") == "ann (Ann) in lobby from [00000000000000ab:5]")
        #expect(try entered("x") == "ann (Ann) in lobby from anywhere")
        #expect(try entered("%7B%22ab%22%3A5%7D") == "ann (Ann) in lobby from anywhere")
    }

    @Test("users: a user or display name that is too long")
    func users() throws {
        let long = TestToken.make(#"{"sub":"annann"}"#)
        #expect(try decide("/ws?token=\(long)") == "closed: invalid room or user")
        let longName = TestToken.make(#"{"sub":"ann","name":"Ann Ann"}"#)
        #expect(try decide("/ws?token=\(longName)") == "closed: invalid room or user")
    }

    @Test("the token comes from the header, then token, then access_token; the first that is there counts")
    func tokens() throws {
        let bob = TestToken.make(#"{"sub":"bob"}"#)
        #expect(try decide("/ws", ["Authorization: Bearer \(token)"]) == "ann (Ann) in lobby")
        #expect(try decide("/ws", ["authorization: bEARER  \(token)"]) == "ann (Ann) in lobby")
        #expect(try decide("/ws?access_token=\(token)") == "ann (Ann) in lobby")
        #expect(try decide("/ws?token=\(token)&access_token=\(bob)") == "ann (Ann) in lobby")
        #expect(try decide("/ws?token=&access_token=\(bob)") == "bob (bob) in lobby")
        #expect(try decide("/ws?token=\(bob)", ["Authorization: Bearer \(token)"]) == "ann (Ann) in lobby")
        #expect(try decide("/ws?token=\(token)", ["Authorization: Bearer x"]) == "closed: unauthorized")
        #expect(try decide("/ws?token=\(token)", ["Authorization: Basic x"]) == "ann (Ann) in lobby")
        #expect(try decide("/ws?token=x&access_token=\(token)") == "closed: unauthorized")
    }

    @Test("subprotocols: the later generation that is known, and a token among them, which is never chosen")
    func subprotocols() throws {
        func decide(_ offered: String, _ target: String = "/ws") throws -> String {
            try self.decide(target, ["Sec-WebSocket-Protocol: \(offered)"])
        }
        #expect(try decide("converge.2, bearer.\(token)") == "ann (Ann) by converge.2")
        #expect(try decide("bearer.\(token),converge.1,converge.2") == "ann (Ann) by converge.2")
        #expect(try decide("bearer.\(token), converge.1") == "ann (Ann) in lobby by converge.1")
        #expect(try decide("bearer.\(token)") == "ann (Ann) in lobby")
        #expect(try decide("converge.2", "/ws?token=\(token)&room=dev&cursor=%7B%7D") == "ann (Ann) by converge.2")
        #expect(try decide("chat, superchat", "/ws?token=\(token)") == "ann (Ann) in lobby")
        #expect(try decide("converge.2") == "who? by converge.2")
        #expect(try decide("converge.1") == "closed: unauthorized by converge.1")
        #expect(try decide("converge.2, bearer.xyz") == "closed: unauthorized by converge.2")
        #expect(try decide("converge.2, bearer.") == "closed: unauthorized by converge.2")
        for malformed in ["converge.2,,x", "a b", "converge.2, converge.2", "converge.2;q=1", ",", ""] {
            #expect(try decide(malformed, "/ws?token=\(token)") == "closed: unauthorized", "\(malformed)")
        }
        let many = (0..<17).map { "p\($0)" }.joined(separator: ",")
        #expect(try decide(many, "/ws?token=\(token)") == "closed: unauthorized")
    }

    @Test("without a good token the upgrade is made and closed, and counted")
    func unauthorized() throws {
        let metrics = Metrics(depths: .init())
        #expect(try decide("/ws", metrics: metrics) == "closed: unauthorized")
        #expect(try decide("/ws?token=x", metrics: metrics) == "closed: unauthorized")
        let expired = TestToken.make(#"{"sub":"ann","exp":1000}"#)
        #expect(try decide("/ws?token=\(expired)", metrics: metrics) == "closed: unauthorized")
        #expect(metrics.authFailures.current == 3)
    }

    @Test("the log is told what the client is not: why a token was refused")
    func causes() throws {
        func cause(_ claims: String? = nil, _ target: String = "/ws") throws -> String {
            let token = claims.map { "?token=" + TestToken.make($0) } ?? ""
            return try decide(target + token, showsCause: true)
        }
        #expect(try cause() == "closed: token: missing")
        #expect(try cause(nil, "/ws?token=x") == "closed: token: malformed")
        #expect(try cause(#"{"sub":"ann","exp":1000}"#) == "closed: token: expired")
        #expect(try cause(#"{"sub":"ann","nbf":2000}"#) == "closed: token: not yet valid")
        #expect(try cause(#"{"name":"Ann"}"#) == "closed: token: no user")
        #expect(try cause(#"{"sub":"annann"}"#) == "closed: a room or user is too long")
        let foreign = TestToken.make(secret: Secret("another"))
        #expect(try decide("/ws?token=\(foreign)", showsCause: true) == "closed: token: wrong signature")
    }

    @Test("an origin that is not on the list is refused before anything else; programs, which say none, are let in")
    func origins() throws {
        let list = ["https://a.example", "https://b.example"]
        let metrics = Metrics(depths: .init())
        func decide(_ origins: [String], _ target: String = "/ws?token=", upgrade: Bool? = nil) throws -> String {
            try self.decide(
                target == "/ws?token=" ? target + token : target, origins.map { "Origin: " + $0 }, upgrade: upgrade,
                origins: list, metrics: metrics)
        }
        #expect(try decide([]) == "ann (Ann) in lobby")
        #expect(try decide(["https://b.example"]) == "ann (Ann) in lobby")
        #expect(try decide(["https://c.example"]) == "forbidden: https://c.example")
        #expect(try decide(["https://B.example"]) == "forbidden: https://B.example")
        #expect(try decide([""]) == "forbidden: ")
        // No browser says two.
        #expect(try decide(["https://a.example", "https://c.example"]) == "forbidden: https://c.example")
        #expect(try decide(["https://c.example"], "/ws?room=%FF", upgrade: false) == "forbidden: https://c.example")
        #expect(try decide(["https://c.example"], "/health") == "200")
        #expect(metrics.originsRefused.current == 5)
        #expect(try self.decide("/ws?token=\(token)", ["Origin: https://c.example"]) == "ann (Ann) in lobby")
    }
}

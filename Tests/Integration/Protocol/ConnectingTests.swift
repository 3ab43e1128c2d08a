// docs/protocol.md, "Connecting": the room, the token and where it comes from, the origin.

import ConvergeNode
import ConvergeTransport
import Testing

@Suite struct ConnectingTests {
    // MARK: The room

    @Test(
        "the room is trimmed, and the lobby where none is named",
        arguments: [
            ("", "lobby"), ("room=&", "lobby"), ("room=%20%20&", "lobby"), ("room=dev&", "dev"),
            ("room=%20dev%09&", "dev"), ("room=two+words&", "two words"), ("room=k%C3%BCche&", "küche"),
        ])
    func room(query: String, room: String) throws {
        try withNode { node in
            let client = try node.open("/ws?\(query)token=\(Tokens.of("ann"))")
            let welcome = try client.next()
            #expect(welcome.type == "welcome")
            #expect(welcome.room == room)
        }
    }

    @Test func `a client gets welcome, then its own joined, and neither has empty members`() throws {
        try withNode { node in
            let client = try node.open(token: Tokens.of("ann", name: "Ann"), room: "dev")
            let welcome = try client.next()
            #expect(welcome.type == "welcome")
            #expect(
                welcome.names.isSubset(of: ["id", "type", "room", "user_id", "display_name", "timestamp", "cursor"]))
            #expect(welcome.room == "dev")
            #expect(welcome.user == "ann")
            #expect(welcome["display_name"] == "Ann")
            #expect(isTimestamp(welcome["timestamp"]))

            let joined = try client.next()
            #expect(joined.type == "system")
            #expect(joined.body == "Ann joined")
            #expect(joined.room == "dev")
            #expect(joined.user == "ann")
            #expect(joined["display_name"] == "Ann")
            #expect(isTimestamp(joined["timestamp"]))
            #expect(
                joined.names == [
                    "id", "type", "room", "user_id", "display_name", "body", "timestamp", "node", "seq", "pos",
                ])
            #expect(joined.id != welcome.id)
        }
    }

    // MARK: Where the token comes from

    @Test func `the header goes before token, and token before access_token`() throws {
        try withNode { node throws in
            let header = ["Authorization: Bearer \(Tokens.of("header"))"]
            let (token, access) = ("token=\(Tokens.of("token"))", "access_token=\(Tokens.of("access"))")
            func user(_ query: String, _ headers: [String] = []) throws -> String {
                try node.open("/ws?\(query)", headers: headers).next("welcome").user
            }
            #expect(try user("\(access)&\(token)", header) == "header")
            #expect(try user("\(access)&\(token)") == "token")
            #expect(try user("\(access)") == "access")
            #expect(try user("token=&\(access)") == "access")
            #expect(try user("", ["authorization: bearer \(Tokens.of("lower"))"]) == "lower")
            #expect(try user(token, ["Authorization: Basic eDp5"]) == "token")
        }
    }

    @Test func `a bad token in the header is not made good by a good one in the query`() throws {
        try withNode { node in
            let client = try node.open("/ws?token=\(Tokens.of("ann"))", headers: ["Authorization: Bearer x.y.z"])
            #expect(try client.waitForClose() == .init(1008, "unauthorized"))
        }
    }

    // MARK: What the token says

    @Test(
        "HS256, HS384 and HS512 are good",
        arguments: [("HS256", HMACAlgorithm.sha256), ("HS384", .sha384), ("HS512", .sha512)])
    func algorithm(name: String, algorithm: HMACAlgorithm) throws {
        try withNode { node throws in
            let token = Tokens.signed(
                header: #"{"typ":"JWT","alg":"\#(name)"}"#, claims: #"{"sub":"ann"}"#, by: algorithm)
            #expect(try node.open(token: token).next().type == "welcome")
        }
    }

    @Test(
        "user and display name come from the claims in their order",
        arguments: [
            (#"{"sub":"s"}"#, "s", "s"), (#"{"sub":"s","user_id":"u"}"#, "u", "u"),
            (#"{"sub":"s","user_id":""}"#, "s", "s"), (#"{"sub":"s","name":"N"}"#, "s", "N"),
            (#"{"sub":"s","name":"N","display_name":"D"}"#, "s", "D"),
            (#"{"sub":"s","name":"N","display_name":"  "}"#, "s", "N"),
            (#"{"sub":"s","display_name":" D E "}"#, "s", "D E"),
            (#"{"sub":"s","name":" ","display_name":""}"#, "s", "s"),
        ])
    func names(claims: String, user: String, displayName: String) throws {
        try withNode { node in
            let welcome = try node.open(token: Tokens.signed(claims: claims)).next("welcome")
            #expect(welcome.user == user)
            #expect(welcome["display_name"] == displayName)
        }
    }

    @Test func `times, issuer and audience that are right let in`() throws {
        try withNode { options in
            options.jwtIssuer = "us"
            options.jwtAudience = "chat"
        } _: { node throws in
            let now = Tokens.now
            for claims in [
                #"{"sub":"a","iss":"us","aud":"chat"}"#, #"{"sub":"a","iss":"us","aud":["other","chat"]}"#,
                #"{"sub":"a","iss":"us","aud":"chat","exp":\#(now + 60),"nbf":\#(now - 60)}"#,
                #"{"sub":"a","iss":"us","aud":"chat","exp":\#(now + 60).5}"#,
            ] {
                #expect(try node.open(token: Tokens.signed(claims: claims)).next().type == "welcome", "\(claims)")
            }
        }
    }

    // MARK: Lengths

    @Test func `room, user or display name over its limit is closed as invalid`() throws {
        try withNode { node in
            let long = String(repeating: "é", count: 32)  // 64 bytes
            let welcome = try node.open(token: Tokens.of(long, name: long), room: long).next()
            #expect(welcome.type == "welcome")
            for (user, name, room) in [
                (long + "x", "n", "r"), ("u", long + "x", "r"), ("u", "n", long + "x"),
            ] {
                let client = try node.open(token: Tokens.of(user, name: name), room: room)
                #expect(try client.waitForClose() == .init(1008, "invalid room or user"))
                try client.waitForEnd()
            }
        }
    }

    // MARK: Origins

    @Test func `where there is a list a page of another origin may not upgrade, and a program without one may`() throws
    {
        try withNode { options in
            options.allowedOrigins = ["https://a.example", "https://b.example"]
        } _: { node in
            let target = "/ws?token=\(Tokens.of("ann"))"
            for headers in [[], ["Origin: https://b.example"]] {
                #expect(try node.open(target, headers: headers).next().type == "welcome")
            }
            for headers in [["Origin: https://c.example"], ["Origin: https://a.example.evil"], ["Origin: null"]] {
                let reply = try HTTPReply.of(HTTPText.upgrade(target, headers), port: node.port)
                #expect(reply.status == 403, "\(headers)")
            }
        }
    }

    @Test func `without a list any origin may upgrade`() throws {
        try withNode { node throws in
            let target = "/ws?token=\(Tokens.of("ann"))"
            #expect(try node.open(target, headers: ["Origin: https://any.example"]).next().type == "welcome")
        }
    }

    // MARK: Refused tokens

    static let badTokens: [(String, String)] = {
        let now = Tokens.now
        let good = Tokens.of("ann")
        let parts = good.split(separator: ".")
        let flipped = parts[2].first == "A" ? "B" + parts[2].dropFirst() : "A" + parts[2].dropFirst()
        return [
            ("empty", ""), ("no dots", "abc"), ("two parts", "\(parts[0]).\(parts[1])"), ("four parts", good + ".x"),
            ("no signature", "\(parts[0]).\(parts[1])."), ("another signature", "\(parts[0]).\(parts[1]).\(flipped)"),
            ("a shorter signature", String(good.dropLast(4))), ("not base64", "\(parts[0]).$$$$.\(parts[2])"),
            ("padded", good + "="), ("another secret", Tokens.signed(claims: #"{"sub":"ann"}"#, secret: "another")),
            ("empty secret", Tokens.signed(claims: #"{"sub":"ann"}"#, secret: "")),
            ("alg none", Tokens.signed(header: #"{"alg":"none"}"#, claims: #"{"sub":"ann"}"#)),
            ("alg none, unsigned", Tokens.base64URL(Array(#"{"alg":"none"}"#.utf8)) + "." + parts[1] + "."),
            ("alg RS256", Tokens.signed(header: #"{"alg":"RS256"}"#, claims: #"{"sub":"ann"}"#)),
            ("alg ES256", Tokens.signed(header: #"{"alg":"ES256"}"#, claims: #"{"sub":"ann"}"#)),
            ("alg hs256", Tokens.signed(header: #"{"alg":"hs256"}"#, claims: #"{"sub":"ann"}"#)),
            ("alg of another length", Tokens.signed(header: #"{"alg":"HS512"}"#, claims: #"{"sub":"ann"}"#)),
            ("no alg", Tokens.signed(header: #"{"typ":"JWT"}"#, claims: #"{"sub":"ann"}"#)),
            ("header no JSON", Tokens.signed(header: "HS256", claims: #"{"sub":"ann"}"#)),
            ("claims no JSON", Tokens.signed(claims: "ann")), ("claims a list", Tokens.signed(claims: #"["sub"]"#)),
            ("no user", Tokens.signed(claims: #"{"name":"Ann"}"#)),
            ("empty user", Tokens.signed(claims: #"{"sub":"","user_id":""}"#)),
            ("user a number", Tokens.signed(claims: #"{"sub":1}"#)),
            ("expired", Tokens.signed(claims: #"{"sub":"ann","exp":\#(now - 1)}"#)),
            ("exp a text", Tokens.signed(claims: #"{"sub":"ann","exp":"\#(now + 600)"}"#)),
            ("exp null", Tokens.signed(claims: #"{"sub":"ann","exp":null}"#)),
            ("exp negative", Tokens.signed(claims: #"{"sub":"ann","exp":-1}"#)),
            ("not yet", Tokens.signed(claims: #"{"sub":"ann","nbf":\#(now + 600)}"#)),
            ("nbf a text", Tokens.signed(claims: #"{"sub":"ann","nbf":"0"}"#)),
            (
                "too deep",
                Tokens.signed(
                    claims: #"{"sub":"ann","x":"# + String(repeating: "[", count: 40)
                        + String(repeating: "]", count: 40) + "}")
            ),
            (
                "invalid UTF-8",
                { () -> String in
                    let input = "\(parts[0])." + Tokens.base64URL(Array(#"{"sub":""#.utf8) + [0xFF] + Array("\"}".utf8))
                    var key = HMACKey(.sha256, secret: Array(Tokens.secret.utf8))
                    return input + "." + Tokens.base64URL(Array(input.utf8).withUnsafeBytes { key.authenticate($0) })
                }()
            ),
        ]
    }()

    @Test func `whatever is wrong with a token, the upgrade completes and is closed as unauthorized`() throws {
        try withNode { node in
            for (what, token) in Self.badTokens {
                let client = try node.open(token: token)
                #expect(try client.waitForClose() == .init(1008, "unauthorized"), "\(what)")
                try client.waitForEnd()
            }
            let none = try node.open("/ws")
            #expect(try none.waitForClose() == .init(1008, "unauthorized"))
            #expect(try node.metric("auth_failures_total") == Self.badTokens.count + 1)
        }
    }

    @Test(
        "a wrong issuer or audience is refused",
        arguments: [
            #"{"sub":"a"}"#, #"{"sub":"a","iss":"us"}"#, #"{"sub":"a","aud":"chat"}"#,
            #"{"sub":"a","iss":"them","aud":"chat"}"#, #"{"sub":"a","iss":"us","aud":"other"}"#,
            #"{"sub":"a","iss":"us","aud":[]}"#, #"{"sub":"a","iss":"us","aud":["x","chat2"]}"#,
            #"{"sub":"a","iss":["us"],"aud":"chat"}"#, #"{"sub":"a","iss":"us","aud":{"chat":1}}"#,
        ])
    func issuerAndAudience(claims: String) throws {
        try withNode { options in
            options.jwtIssuer = "us"
            options.jwtAudience = "chat"
        } _: { node in
            let client = try node.open(token: Tokens.signed(claims: claims))
            #expect(try client.waitForClose() == .init(1008, "unauthorized"))
        }
    }

    @Test func `without a secret everybody is refused`() throws {
        try withNode {
            $0.jwtSecret = nil
        } _: { node throws in
            for token in [Tokens.of("ann"), Tokens.signed(claims: #"{"sub":"ann"}"#, secret: "")] {
                #expect(try node.open(token: token).waitForClose() == .init(1008, "unauthorized"))
            }
        }
    }
}

/// RFC 3339, in UTC, as this server writes it.
func isTimestamp(_ text: String?) -> Bool {
    guard let text else { return false }
    return text.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/) != nil
}

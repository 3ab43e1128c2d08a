import ConvergeTestSupport
import ConvergeWire
import Testing

@Suite struct TokenTests {
    private func base64(_ text: String) -> String { base64(Array(text.utf8)) }

    private func base64(_ bytes: [UInt8]) -> String {
        var out = ByteBuffer()
        bytes.withUnsafeBytes { Base64URL.append($0, to: &out) }
        return String(decoding: out.bytes, as: UTF8.self)
    }

    private func parse(_ token: String) -> Result<Token, TokenError> {
        var token = token
        return token.withUTF8 { utf8 in
            do throws(TokenError) {
                return .success(try Token.parse(UnsafeRawBufferPointer(utf8)))
            } catch {
                return .failure(error)
            }
        }
    }

    private func refusal(_ token: String) -> TokenError? {
        if case .failure(let error) = parse(token) { error } else { nil }
    }

    private func token(header: String = #"{"alg":"HS256"}"#, _ claims: String, signature: Int = 32) -> String {
        base64(header) + "." + base64(claims) + "." + base64([UInt8](repeating: 7, count: signature))
    }

    private func claims(_ json: String) -> Result<TokenClaims, TokenError> { parse(token(json)).map(\.claims) }

    @Test("the example of RFC 7519, section 3.1, is taken apart as it says there; it names no user")
    func rfc() {
        let text =
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
            + ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
            + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        #expect(refusal(text) == .noUser)
    }

    @Test("the parts of a token")
    func parts() throws {
        // {"alg":"HS256","typ":"JWT"} {"sub":"1234567890","name":"John Doe","iat":1516239022}
        let text =
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ"
            + ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
        let token = try parse(text).get()
        #expect(token.algorithm == .hs256)
        #expect(token.signingInput == 0..<111)
        #expect(token.signature.count == 32 && token.signature.prefix(3) == [0x49, 0xF9, 0x4A])
        #expect(token.claims == TokenClaims(user: "1234567890", displayName: "John Doe"))
    }

    @Test("the user and the display name come from the claims in their order")
    func names() {
        #expect(claims(#"{"sub":"s"}"#) == .success(TokenClaims(user: "s", displayName: "s")))
        #expect(
            claims(#"{"sub":"s","user_id":"u","name":"n","display_name":" d "}"#)
                == .success(TokenClaims(user: "u", displayName: "d")))
        #expect(
            claims(#"{"sub":"s","user_id":"","name":"n","display_name":"  "}"#)
                == .success(TokenClaims(user: "s", displayName: "n")))
        #expect(
            claims(#"{"user_id":null,"sub":"s","name":null}"#) == .success(TokenClaims(user: "s", displayName: "s")))
        #expect(claims(#"{"name":"n"}"#) == .failure(.noUser))
        #expect(claims(#"{"sub":"","user_id":""}"#) == .failure(.noUser))
    }

    @Test("a claim that is not used hurts nothing, whatever its type is")
    func unused() {
        for (json, user, name) in [
            (#"{"user_id":"u","sub":1}"#, "u", "u"), (#"{"user_id":"u","sub":{"x":[null]}}"#, "u", "u"),
            (#"{"sub":"s","name":{"first":"S"}}"#, "s", "s"), (#"{"sub":"s","name":[],"display_name":"d"}"#, "s", "d"),
            (#"{"sub":"s","display_name":7,"name":"n"}"#, "s", "n"), (#"{"sub":"s","iss":1,"aud":7}"#, "s", "s"),
            (#"{"sub":"s","aud":{}}"#, "s", "s"), (#"{"sub":"s","iat":"x","jti":null,"scope":[]}"#, "s", "s"),
        ] as [(String, Text, Text)] {
            #expect(claims(json) == .success(TokenClaims(user: user, displayName: name)), "\(json)")
        }
        #expect(
            claims(#"{"sub":"s","aud":["a",1,null,"b"]}"#) == .success(TokenClaims(user: "s", audience: ["a", "b"])))
        // Where it is asked for, a claim that can't be read is none.
        for (json, error) in [(#"{"sub":"s","iss":1}"#, TokenError.audience), (#"{"sub":"s","aud":7}"#, .audience)] {
            #expect(throws: error) { try claims(json).get().validate(now: 0, issuer: "", audience: "a") }
        }
        #expect(throws: TokenError.issuer) {
            try claims(#"{"sub":"s","iss":["i"]}"#).get().validate(now: 0, issuer: "i", audience: "")
        }
    }

    @Test("times are numbers, fractions too; issuer and audience are texts")
    func types() {
        #expect(
            claims(#"{"sub":"s","exp":1800000000.5,"nbf":1.7e9,"iss":"i","aud":"a"}"#)
                == .success(
                    TokenClaims(user: "s", expires: 1_800_000_000.5, notBefore: 1.7e9, issuer: "i", audience: ["a"])))
        #expect(
            claims(#"{"sub":"s","aud":["a","b"],"x":{"y":[1]}}"#)
                == .success(TokenClaims(user: "s", audience: ["a", "b"])))
        for json in [
            #"{"sub":"s","exp":"1800000000"}"#, #"{"sub":"s","exp":null}"#, #"{"sub":"s","nbf":true}"#,
            #"{"sub":"s","exp":1e999}"#, #"{"sub":"s","nbf":[1]}"#, #"{"sub":1}"#, #"{"sub":"s","user_id":5}"#,
            #"{"user_id":["u"]}"#, #"{"user_id":"","sub":{}}"#,
            #"["sub"]"#, #""sub""#, "", #"{"sub":"s"}x"#, #"{"sub":"\ud800"}"#, #"{"sub":"s",}"#,
            #"{"sub":"s","x":"# + String(repeating: "[", count: 32) + String(repeating: "]", count: 32) + "}",
        ] {
            #expect(claims(json) == .failure(.malformed), "\(json)")
        }
        #expect(
            refusal(
                base64(#"{"alg":"HS256"}"#) + "." + base64(Array("{\"sub\":\"".utf8) + [0xFF] + Array("\"}".utf8)) + "."
                    + base64([UInt8](repeating: 1, count: 32))) == .malformed)
    }

    @Test("only HMAC with a secret is accepted, and nothing that must be understood besides")
    func algorithms() {
        for (name, length, algorithm) in [
            ("HS256", 32, Token.Algorithm.hs256), ("HS384", 48, .hs384), ("HS512", 64, .hs512),
        ] {
            let text = token(header: "{\"typ\":\"JWT\",\"alg\":\"\(name)\"}", #"{"sub":"s"}"#, signature: length)
            #expect((try? parse(text).get().algorithm) == algorithm)
            let short = token(header: "{\"alg\":\"\(name)\"}", #"{"sub":"s"}"#, signature: length - 1)
            #expect(refusal(short) == .malformed)
        }
        for name in ["none", "None", "RS256", "ES256", "PS512", "hs256", "HS256 ", "", "HS1"] {
            #expect(refusal(token(header: "{\"alg\":\"\(name)\"}", #"{"sub":"s"}"#)) == .algorithm, "\(name)")
        }
        #expect(refusal(token(header: "{}", #"{"sub":"s"}"#)) == .algorithm)
        #expect(refusal(token(header: #"{"alg":"HS256","alg":"none"}"#, #"{"sub":"s"}"#)) == .algorithm)
        #expect(refusal(token(header: #"{"alg":"HS256","crit":["b64"],"b64":false}"#, #"{"sub":"s"}"#)) == .algorithm)
        #expect(refusal(token(header: #"{"alg":["HS256"]}"#, #"{"sub":"s"}"#)) == .malformed)
        #expect(refusal(token(header: "HS256", #"{"sub":"s"}"#)) == .malformed)
    }

    @Test("what is not three parts in strict base64url is no token")
    func shape() {
        let good = token(#"{"sub":"s"}"#)
        #expect(refusal(good) == nil)
        #expect(refusal("") == .missing)
        for text in [".", "..", "...", "a.b.c", good + ".", good + "=", "." + good, " " + good, good + " "] {
            #expect(refusal(text) == .malformed, "\(text)")
        }
        let unsigned = base64(#"{"alg":"HS256"}"#) + "." + base64(#"{"sub":"s"}"#)
        #expect(refusal(unsigned) == .malformed)
        #expect(refusal(unsigned + ".") == .malformed)
        #expect(refusal(good + String(repeating: "A", count: 8192)) == .tooLong)
    }

    @Test("a token is good from nbf until exp, of its issuer, for its audience")
    func validation() {
        let claims = TokenClaims(user: "u", expires: 100, notBefore: 50, issuer: "i", audience: ["a", "b"])
        func verdict(_ now: Double, _ issuer: Text = "", _ audience: Text = "", of claims: TokenClaims) -> TokenError? {
            do throws(TokenError) {
                try claims.validate(now: now, issuer: issuer, audience: audience)
                return nil
            } catch {
                return error
            }
        }
        #expect(verdict(49.9, of: claims) == .notYetValid)
        #expect(verdict(50, of: claims) == nil)
        #expect(verdict(99.9, of: claims) == nil)
        #expect(verdict(100, of: claims) == .expired)
        #expect(verdict(60, "i", "b", of: claims) == nil)
        #expect(verdict(60, "j", "b", of: claims) == .issuer)
        #expect(verdict(60, "i", "c", of: claims) == .audience)
        #expect(verdict(1e12, of: TokenClaims(user: "u")) == nil)
        #expect(verdict(0, "i", of: TokenClaims(user: "u")) == .issuer)
        #expect(verdict(0, "", "a", of: TokenClaims(user: "u")) == .audience)
    }

    @Test("what is minted is read back")
    func minting() {
        let all = [
            TokenClaims(user: "u"), TokenClaims(user: "u\"é", displayName: "Ann Ö", expires: 1_800_000_000),
            TokenClaims(user: "u", expires: 1.5, notBefore: -2, issuer: "i", audience: ["a"]),
            TokenClaims(user: "u", audience: ["a", "b"]),
        ]
        for claims in all {
            let input = String(decoding: claims.signingInput(.hs384), as: UTF8.self)
            let read = parse(input + "." + base64([UInt8](repeating: 0, count: 48)))
            #expect(read.map(\.claims) == .success(claims))
            #expect(read.map(\.algorithm) == .success(.hs384))
            #expect(read.map(\.signingInput) == .success(0..<input.utf8.count))
        }
        #expect(
            String(decoding: TokenClaims(user: "1", displayName: "A").signingInput(.hs256), as: UTF8.self)
                == base64(#"{"alg":"HS256","typ":"JWT"}"#) + "." + base64(#"{"sub":"1","name":"A"}"#))
    }
}

@Suite struct Base64URLTests {
    private func encode(_ bytes: [UInt8]) -> String {
        var out = ByteBuffer()
        bytes.withUnsafeBytes { Base64URL.append($0, to: &out) }
        return String(decoding: out.bytes, as: UTF8.self)
    }

    private func decode(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { Base64URL.decode(UnsafeRawBufferPointer($0)) }
    }

    @Test("the vectors of RFC 4648, section 10, without their padding")
    func vectors() {
        for (plain, text) in [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            #expect(encode(Array(plain.utf8)) == text)
            #expect(decode(text) == Array(plain.utf8))
        }
        #expect(encode([0xFB, 0xFF, 0xBF]) == "-_-_")
        #expect(decode("-_-_") == [0xFB, 0xFF, 0xBF])
    }

    @Test("each run of bytes has one text, and no other is read")
    func strict() {
        for text in ["A", "AAAAA", "Zg==", "Zm8=", "Zh", "Zm9", "Zm+v", "Zm/v", "Zm 9", "Zm9v\n", "Zm9\u{E9}", "Z\0"] {
            #expect(decode(text) == nil, "\(text)")
        }
        var random = SplitMix64(seed: 17)
        var wrong: [[UInt8]] = []
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0..<50, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            if decode(encode(bytes)) != bytes { wrong.append(bytes) }
        }
        #expect(wrong == [], "seed 17")
    }
}

/// What a token says about its bearer (RFC 7519, section 4), as far as this server cares.
public struct TokenClaims: Hashable, Sendable {
    /// `user_id`, else `sub`. Never empty.
    public var user: Text
    /// `display_name`, else `name`, trimmed, else the user.
    public var displayName: Text
    /// `exp`: seconds since 1970 at which the token ends.
    public var expires: Double?
    /// `nbf`: seconds since 1970 at which it begins.
    public var notBefore: Double?
    /// `iss`.
    public var issuer: Text?
    /// `aud`: one or several.
    public var audience: [Text]

    public init(
        user: Text, displayName: Text? = nil, expires: Double? = nil, notBefore: Double? = nil, issuer: Text? = nil,
        audience: [Text] = []
    ) {
        self.user = user
        self.displayName = displayName ?? user
        self.expires = expires
        self.notBefore = notBefore
        self.issuer = issuer
        self.audience = audience
    }

    /// Reads the token's second part. What is not used hurts nothing, whatever its type is: issuers put into tokens what
    /// others of their users need. What says who the bearer is must be text, and times must be numbers; text claims that are
    /// `null` or empty are as good as absent.
    init(json bytes: UnsafeRawBufferPointer) throws(TokenError) {
        guard bytes.isUTF8 else { throw .malformed }
        var claims = TokenClaims(user: "")
        var subject = TextClaim.absent
        var userID = TextClaim.absent
        var displayName = TextClaim.absent
        var name = TextClaim.absent
        do throws(JSONError) {
            var json = JSONScanner(bytes)
            try json.beginObject()
            while let key = try json.nextKey() {
                switch key.withBytes({ Name($0) }) {
                case .userID: userID = try json.textClaim()
                case .subject: subject = try json.textClaim()
                case .displayName: displayName = try json.textClaim()
                case .name: name = try json.textClaim()
                case .issuer: claims.issuer = try json.textClaim().text
                case .audience: claims.audience = try json.texts()
                case .expires: claims.expires = try json.double()
                case .notBefore: claims.notBefore = try json.double()
                case nil: try json.skipValue()
                }
            }
            try json.finish()
        } catch {
            throw .malformed
        }
        // The first that says anything counts, also where it is nothing that can be used: the bearer is not made another.
        switch userID.isAbsent ? subject : userID {
        case .absent: throw .noUser
        case .text(let user): claims.user = user
        case .other: throw .malformed
        }
        claims.displayName =
            [displayName, name].lazy.compactMap { $0.text?.trimmed() }.first { !$0.isEmpty } ?? claims.user
        self = claims
    }

    /// What a claim says that should be text.
    fileprivate enum TextClaim {
        /// It isn't there, is `null`, or is empty.
        case absent
        case text(Text)
        case other

        var isAbsent: Bool { if case .absent = self { true } else { false } }
        var text: Text? { if case .text(let text) = self { text } else { nil } }
    }

    /// Judges a token whose signature was right, at `now` seconds since 1970. A token ends at `exp`, not after it; an
    /// empty `issuer` or `audience` is not asked for.
    public func validate(now: Double, issuer: Text, audience: Text) throws(TokenError) {
        if let expires, now >= expires { throw .expired }
        if let notBefore, now < notBefore { throw .notYetValid }
        guard issuer.isEmpty || self.issuer == issuer else { throw .issuer }
        guard audience.isEmpty || self.audience.contains(audience) else { throw .audience }
    }

    /// The first two parts of a token that says this, to be signed; `.` and the signature in base64url make it whole.
    public func signingInput(_ algorithm: Token.Algorithm) -> [UInt8] {
        var header = ByteBuffer()
        header.append("{\"alg\":")
        header.appendJSONString(Text(algorithm.rawValue))
        header.append(",\"typ\":\"JWT\"}")

        var payload = ByteBuffer()
        payload.append("{\"sub\":")
        payload.appendJSONString(user)
        if displayName != user { payload.appendMember(",\"name\":", displayName) }
        payload.appendMember(",\"iss\":", issuer ?? "")
        if audience.count == 1 {
            payload.append(",\"aud\":")
            payload.appendJSONString(audience[0])
        } else if !audience.isEmpty {
            payload.appendMember(",\"aud\":", list: audience)
        }
        payload.appendSeconds(",\"nbf\":", notBefore)
        payload.appendSeconds(",\"exp\":", expires)
        payload.append("}")

        var out = ByteBuffer()
        Base64URL.append(header.bytes, to: &out)
        out.append(".")
        Base64URL.append(payload.bytes, to: &out)
        return out.array()
    }

    private enum Name {
        case userID, subject, displayName, name, issuer, audience, expires, notBefore

        @inline(__always)
        init?(_ name: UnsafeRawBufferPointer) {
            switch name.count {
            case 3 where name.equals("sub"): self = .subject
            case 3 where name.equals("exp"): self = .expires
            case 3 where name.equals("nbf"): self = .notBefore
            case 3 where name.equals("iss"): self = .issuer
            case 3 where name.equals("aud"): self = .audience
            case 4 where name.equals("name"): self = .name
            case 7 where name.equals("user_id"): self = .userID
            case 12 where name.equals("display_name"): self = .displayName
            default: return nil
            }
        }
    }
}

extension JSONScanner {
    fileprivate mutating func textClaim() throws(JSONError) -> TokenClaims.TextClaim {
        switch try peek() {
        case .string:
            let text = try string().text()
            return text.isEmpty ? .absent : .text(text)
        case .null:
            try skipValue()
            return .absent
        case .object, .array, .number, .bool:
            try skipValue()
            return .other
        }
    }

    /// A string or those in an array; what else there is says nothing.
    fileprivate mutating func texts() throws(JSONError) -> [Text] {
        guard try peek() == .array else { return try textClaim().text.map { [$0] } ?? [] }
        var texts: [Text] = []
        try beginArray()
        while try nextElement() {
            if let text = try textClaim().text { texts.append(text) }
        }
        return texts
    }
}

extension ByteBuffer {
    /// Whole seconds as such: what other readers of tokens expect.
    fileprivate mutating func appendSeconds(_ name: StaticString, _ seconds: Double?) {
        guard let seconds, seconds.isFinite else { return }
        append(name)
        // Not `Int(exactly:)`, which needs the C library's rounding, and that is not linked to this module.
        if seconds.magnitude < 0x1p53, Double(Int(seconds)) == seconds {
            appendDecimal(Int(seconds))
        } else {
            append(seconds.description)
        }
    }
}

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

    /// Reads the token's second part. Text claims that are `null` are as good as absent; times must be numbers.
    init(json bytes: UnsafeRawBufferPointer) throws(TokenError) {
        guard bytes.isUTF8 else { throw .malformed }
        var claims = TokenClaims(user: "")
        var subject: Text?
        var userID: Text?
        var displayName: Text?
        var name: Text?
        do throws(JSONError) {
            var json = JSONScanner(bytes)
            try json.beginObject()
            while let key = try json.nextKey() {
                switch key.withBytes({ Name($0) }) {
                case .userID: userID = try json.optionalText()
                case .subject: subject = try json.optionalText()
                case .displayName: displayName = try json.optionalText()
                case .name: name = try json.optionalText()
                case .issuer: claims.issuer = try json.optionalText()
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
        guard let user = [userID, subject].lazy.compactMap({ $0 }).first(where: { !$0.isEmpty }) else { throw .noUser }
        claims.user = user
        claims.displayName =
            [displayName, name].lazy.compactMap { $0?.trimmed() }.first { !$0.isEmpty } ?? user
        self = claims
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
    /// A string, or nil for `null`.
    fileprivate mutating func optionalText() throws(JSONError) -> Text? {
        try skipNull() ? nil : string().text()
    }

    /// A string or an array of them; nothing for `null`.
    fileprivate mutating func texts() throws(JSONError) -> [Text] {
        if try skipNull() { return [] }
        guard try peek() == .array else { return [try string().text()] }
        var texts: [Text] = []
        try beginArray()
        while try nextElement() { texts.append(try string().text()) }
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

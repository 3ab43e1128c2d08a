import ConvergeWire

// Tokens: read or refused, whatever the bytes are; base64url has one text for each run of bytes; claims that are written
// again are read as the same.
//
// A random change to a token breaks its base64, so bytes that hold a line break are taken as header, claims and
// signature and made into a token first: that way the claims are reached.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJWT(_ start: UnsafeRawPointer, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    if let decoded = Base64URL.decode(bytes) {
        var again = ByteBuffer()
        decoded.withUnsafeBytes { Base64URL.append($0, to: &again) }
        precondition(again.bytes.elementsEqual(bytes), "base64url in another form was accepted")
    }
    check(bytes)
    if let line = bytes.firstIndex(of: 0x0A) {
        var token = ByteBuffer()
        Base64URL.append(UnsafeRawBufferPointer(rebasing: bytes[..<line]), to: &token)
        token.append(".")
        Base64URL.append(UnsafeRawBufferPointer(rebasing: bytes[(line + 1)...]), to: &token)
        token.append(".")
        [UInt8](repeating: 1, count: 32).withUnsafeBytes { Base64URL.append($0, to: &token) }
        check(token.bytes)
    }
    return 0
}

private func check(_ bytes: UnsafeRawBufferPointer) {
    guard let token = try? Token.parse(bytes) else { return }
    precondition(token.signature.count == token.algorithm.signatureLength, "a signature of another length")
    precondition(bytes[token.signingInput.upperBound] == UInt8(ascii: "."), "the signing input ends elsewhere")
    precondition(!token.claims.user.isEmpty && !token.claims.displayName.isEmpty, "nobody's token was accepted")
    try? token.claims.validate(now: 1_800_000_000, issuer: "converge", audience: "chat")

    var expected = token.claims
    if expected.issuer == "" { expected.issuer = nil }
    var minted = ByteBuffer()
    minted.append(token.claims.signingInput(token.algorithm))
    minted.append(".")
    token.signature.withUnsafeBytes { Base64URL.append($0, to: &minted) }
    guard minted.count <= Token.lengthLimit else { return }
    let again = try? Token.parse(minted.bytes)
    precondition(again?.claims == expected, "\(expected) is read back as \(String(describing: again?.claims))")
}

import ConvergeWire

// HTTP heads (RFC 9112): however the bytes are cut, the same request or the same refusal comes out, and no more bytes
// are taken than there are.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP(_ start: UnsafeRawPointer, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    let whole = outcome(of: bytes, pieces: max(1, count))
    let byByte = outcome(of: bytes, pieces: 1)
    let bySeven = outcome(of: bytes, pieces: 7)
    precondition(whole == byByte && whole == bySeven, "cut up, the same bytes are another request")
    return 0
}

private func outcome(of bytes: UnsafeRawBufferPointer, pieces: Int) -> String {
    var parser = RequestParser()
    var at = 0
    while at < bytes.count {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[at..<min(bytes.count, at + pieces)])
        let (consumed, step) = parser.receive(piece)
        precondition((0...piece.count).contains(consumed), "consumed \(consumed) of \(piece.count)")
        at += consumed
        switch step {
        case .needMore: precondition(consumed == piece.count, "bytes are left though more are wanted")
        case .refused(let refusal): return "refused \(refusal)"
        case .request(let request):
            let room = (try? request.query("room")).map { "\($0.map(\.string) ?? "none")" } ?? "undecodable"
            let upgrade = (try? UpgradeRequest(request)).map { "\($0.key)" } ?? "refused"
            return "\(at) \(request.methodName) \(request.target) \(request.hasBody) \(room) \(upgrade)"
        }
    }
    return "more"
}

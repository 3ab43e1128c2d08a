import ConvergeWire

/// The opening handshake as a client makes it: the request's bytes, and whether a response agrees to it. RFC 6455,
/// section 4.1.
///
/// The key and the digest that must answer it are handed in: randomness and SHA-1 belong to whoever has a machine. The
/// token goes into a header, not into the URL, which servers and proxies log.
public struct ClientHandshake: Sendable {
    public let request: [UInt8]
    /// What `Sec-WebSocket-Accept` must be.
    private let accept: [UInt8]

    /// A response's head may be no longer.
    static let headLimit = 16_384

    /// Appended to the key before it is hashed (RFC 6455, section 1.3).
    public static let acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// - Parameters:
    ///   - key: 16 random bytes in base64.
    ///   - accept: base64 of SHA-1 of the key and `acceptGUID`.
    ///   - token: visible ASCII; a token with anything else can't be sent, and gives nil.
    public init?(url: ServerURL, room: String, token: String?, key: [UInt8], accept: [UInt8]) {
        var head = "GET \(url.target(adding: "room", room)) HTTP/1.1\r\nHost: \(url.authority)\r\n"
        head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        head += "Sec-WebSocket-Key: \(String(decoding: key, as: UTF8.self))\r\n"
        if let token {
            guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
            head += "Authorization: Bearer \(token)\r\n"
        }
        request = Array((head + "\r\n").utf8)
        self.accept = accept
    }

    public enum Verdict: Hashable, Sendable {
        case incomplete
        /// The connection is a WebSocket; its frames begin after `length` bytes.
        case accepted(length: Int)
        /// An ordinary HTTP answer, such as 403 for a wrong origin.
        case refused(status: Int, reason: String)
        /// Not an answer to this handshake.
        case invalid(String)
    }

    /// Judges what has come of the response so far. O(n), so call it with growing input only while that is small.
    func judge(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        guard let length = headLength(bytes) else {
            if !bytes.starts(with: "HTTP/1.1 ".utf8.prefix(bytes.count)),
                !bytes.starts(with: "HTTP/1.0 ".utf8.prefix(bytes.count))
            {
                return .invalid("what answers there is not an HTTP server")
            }
            return bytes.count > Self.headLimit ? .invalid("the response's head is over 16 KiB") : .incomplete
        }
        let lines = String(decoding: bytes[..<(length - 4)], as: UTF8.self).split(
            separator: "\r\n", omittingEmptySubsequences: false)
        let status = lines[0].split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard status.count >= 2, status[0].hasPrefix("HTTP/1."), status[1].utf8.count == 3, let code = Int(status[1])
        else { return .invalid("what answers there is not an HTTP server") }
        guard code == 101 else { return .refused(status: code, reason: status.count > 2 ? String(status[2]) : "") }

        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return .invalid("a header line without a colon") }
            let name = line[..<colon].lowercased()
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            fields[name] = (fields[name].map { $0 + "," } ?? "") + value
        }
        guard trimmed(fields["upgrade"]).lowercased() == "websocket" else { return .invalid("it does not upgrade") }
        let options = (fields["connection"] ?? "").split(separator: ",").map { trimmed(String($0)).lowercased() }
        guard options.contains("upgrade") else { return .invalid("it does not upgrade") }
        guard trimmed(fields["sec-websocket-accept"]).utf8.elementsEqual(accept) else {
            return .invalid("it answers another handshake")
        }
        guard fields["sec-websocket-extensions"] == nil, fields["sec-websocket-protocol"] == nil else {
            return .invalid("it wants an extension that was not asked for")
        }
        return .accepted(length: length)
    }

    /// The length of the head with the empty line at its end; nil where that hasn't come.
    private func headLength(_ bytes: UnsafeRawBufferPointer) -> Int? {
        let end: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A]
        let limit = min(bytes.count, Self.headLimit)
        guard limit >= end.count else { return nil }
        for at in 0...(limit - end.count) where bytes[at] == 0x0D {
            if bytes[at..<(at + end.count)].elementsEqual(end) { return at + end.count }
        }
        return nil
    }

    private func trimmed(_ text: String?) -> String {
        guard let text else { return "" }
        let start = text.drop { $0 == " " || $0 == "\t" }
        return String(start.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}

import ConvergeWire

/// What a port that speaks TLS says to somebody who does not: an answer 400 in plain HTTP whose body tells so, as this
/// project's nodes and the usual proxies give it, or an alert of TLS itself (RFC 8446, section 6).
///
/// Bounds: `limit` bytes of the body are looked at, and no more are waited for than are announced.
struct PlainRefusal: Sendable {
    private static let limit = 1_024
    private static let words = ["speaks TLS", "HTTPS port", "HTTPS server"]

    private var body: [UInt8] = []
    private let announced: Int

    /// Nil where the answer can't be about TLS.
    init?(_ head: ResponseHead) {
        guard head.status == .badRequest else { return nil }
        announced = head.fields.first("content-length").flatMap { Int($0.string) } ?? 0
    }

    /// Takes what has come of the body.
    mutating func take(_ bytes: UnsafeRawBufferPointer) { body += bytes.prefix(Self.limit - body.count) }

    /// Nothing more that counts can come.
    var isWhole: Bool { body.count >= min(announced, Self.limit) }

    var speaksTLS: Bool { Self.isAboutTLS(body) }

    /// Whether the body of a plain 400 says that TLS is spoken there.
    static func isAboutTLS(_ body: [UInt8]) -> Bool {
        let text = String(decoding: body.prefix(limit), as: UTF8.self)
        return words.contains { text.contains($0) }
    }

    /// The first byte of a record of TLS that carries an alert. No answer in HTTP begins so.
    static func isAlert(_ byte: UInt8?) -> Bool { byte == 0x15 }
}

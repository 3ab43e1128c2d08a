import ConvergeWire

/// Decides when a token is asked for: the connections of a client share one.
///
/// A core. It is asked for when there is none, when its `exp` has come (or will in a moment), and when a server refused
/// it; once for all links that wait for it. Each one that came has a number, so that a link which was refused the one
/// before is given the newer one that is there already.
struct TokenHolder: Sendable {
    /// Nil also where servers want none; `number` tells whether one was asked for.
    private(set) var token: String?
    private(set) var number = 0
    private(set) var isAsking = false
    private var expires: Double?
    private var isRefused = false
    private var waiting: [Int] = []

    /// Seconds before its end at which a token is not shown any more.
    private static let margin = 5.0

    /// - Parameters:
    ///   - refused: the number of the token that a server refused.
    ///   - seconds: since 1970.
    /// - Returns: true where `token` can be used; otherwise the link waits, and where `mustAsk` is set somebody must ask.
    mutating func want(for link: Int, refused: Int?, at seconds: Double) -> (isThere: Bool, mustAsk: Bool) {
        if let refused, refused == number { isRefused = true }
        if number > 0, !isAsking, !isRefused, expires.map({ seconds < $0 - Self.margin }) ?? true {
            return (true, false)
        }
        if !waiting.contains(link) { waiting.append(link) }
        defer { isAsking = true }
        return (false, !isAsking)
    }

    /// It came: for the links that are returned.
    mutating func came(_ token: String?) -> [Int] {
        self.token = token
        number += 1
        isRefused = false
        expires = token.flatMap(Self.end)
        return answered()
    }

    /// It could not be had: the links that are returned must ask again, later.
    mutating func failed() -> [Int] { answered() }

    private mutating func answered() -> [Int] {
        isAsking = false
        defer { waiting = [] }
        return waiting
    }

    /// What a token says of its end; nil where it says nothing, or is none that can be read.
    private static func end(of token: String) -> Double? {
        var token = token
        return token.withUTF8 { (try? Token.parse(UnsafeRawBufferPointer($0)))?.claims.expires }
    }
}

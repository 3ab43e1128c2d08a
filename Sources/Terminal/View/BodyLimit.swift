/// How long a message may be, as far as it is known: nodes have a setting for it (CONVERGE_MAX_BODY_LENGTH).
///
/// A node tells it, or it is guessed: the default, corrected by what was stored and what was refused.
struct BodyLimit: Hashable, Sendable {
    /// What nodes take unless they are set otherwise.
    static let usual = 2_000

    private var told: Int?
    private var stored = 0
    private var refused = Int.max

    /// In bytes of UTF-8.
    var bytes: Int { told ?? max(min(Self.usual, refused - 1), stored, 1) }

    /// Whether longer ones are refused for certain.
    var isCertain: Bool { told != nil || refused - 1 <= bytes }

    /// A node has said what it takes; nothing where it does not say.
    mutating func tell(_ limit: Int?) {
        if let limit, limit > 0 { told = limit }
    }

    mutating func stored(_ bytes: Int) {
        stored = max(stored, bytes)
        if refused <= stored { refused = .max }
        if let told, told < stored { self.told = nil }
    }

    /// A message was too large.
    mutating func refused(_ bytes: Int) {
        refused = min(refused, bytes)
        if stored >= refused { stored = 0 }
        if let told, told >= refused { self.told = nil }
    }
}

/// A text that is too long for one message, in several: cut between lines, else between words, else between letters.
///
/// Invariant: no piece is over the limit, and together they have all of the text but the blanks and newlines at the cuts.
enum BodyPieces {
    /// O(length).
    static func of(_ text: String, limit: Int) -> [String] {
        var pieces: [String] = []
        var rest = text[...]
        while rest.utf8.count > limit {
            let end = cut(rest, max(limit, 4))
            let piece = rest[..<end]
            // What begins a line may be meant: only the newline goes that the cut is at.
            if piece.contains(where: { !$0.isWhitespace }) { pieces.append(trimmed(piece)) }
            rest = rest[end...]
            if rest.first == "\n" || rest.first == " " { rest.removeFirst() }
        }
        if rest.contains(where: { !$0.isWhitespace }) { pieces.append(String(rest)) }
        return pieces
    }

    /// Where the first piece ends: past its first letter, and within the limit.
    private static func cut(_ text: Substring, _ limit: Int) -> Substring.Index {
        var end = text.startIndex
        var count = 0
        var line: (end: Substring.Index, count: Int)?
        var word = line
        for letter in text {
            let size = letter.utf8.count
            guard count + size <= limit else { break }
            if letter == "\n" { line = (end, count) }
            if letter == " " { word = (end, count) }
            count += size
            end = text.index(after: end)
        }
        guard end > text.startIndex else { return scalars(text, limit) }
        // Not so far back that a piece is mostly empty.
        for place in [line, word] { if let place, place.count >= limit / 2 { return place.end } }
        return end
    }

    /// Within a letter that is over the limit by itself: a thousand marks on one.
    private static func scalars(_ text: Substring, _ limit: Int) -> Substring.Index {
        var end = text.startIndex
        var count = 0
        for scalar in text.unicodeScalars {
            count += UTF8.width(scalar)
            guard count <= limit else { break }
            end = text.unicodeScalars.index(after: end)
        }
        return end
    }

    private static func trimmed(_ piece: Substring) -> String {
        var piece = piece
        while piece.last?.isWhitespace == true { piece.removeLast() }
        return String(piece)
    }
}

/// A piece of text with how it looks. The text may be anything; it is made harmless where it is drawn.
struct Span: Hashable, Sendable {
    var text: String
    var style: Style

    init(_ text: String, _ style: Style = .plain) {
        self.text = text
        self.style = style
    }
}

/// One row of a pane: clusters that are safe to draw, side by side.
struct Row: Hashable, Sendable {
    struct Piece: Hashable, Sendable {
        var cluster: Character
        var width: Int
        var style: Style
    }

    var pieces: [Piece] = []
    private(set) var width = 0

    init() {}

    init(_ spans: [Span]) {
        for span in spans { append(span.text, span.style) }
    }

    init(_ text: String, _ style: Style = .plain) { append(text, style) }

    mutating func append(_ text: String, _ style: Style = .plain) {
        for piece in SafeClusters(text, style: style).pieces { append(piece) }
    }

    mutating func append(_ piece: Piece) {
        pieces.append(piece)
        width += piece.width
    }

    /// What fits into `limit` columns; where something is left out, `mark` stands at the end.
    func cut(to limit: Int, mark: Character = "…") -> Row {
        guard width > limit else { return self }
        guard limit > 0 else { return Row() }
        var row = Row()
        for piece in pieces {
            guard row.width + piece.width <= limit - 1 else { break }
            row.append(piece)
        }
        row.append(Piece(cluster: mark, width: 1, style: row.pieces.last?.style ?? .plain))
        return row
    }

    mutating func pad(to columns: Int, _ style: Style = .plain) {
        while width < columns { append(Piece(cluster: " ", width: 1, style: style)) }
    }
}

/// Text as clusters that no terminal obeys, each with its width.
///
/// Bounds: a cluster keeps at most 32 bytes, since a letter may carry a thousand marks; a mark without a letter gets a
/// blank to stand on.
struct SafeClusters {
    private(set) var pieces: [Row.Piece] = []
    static let clusterLimit = 32

    init(_ text: String, style: Style) {
        if text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) {
            pieces = text.utf8.map { .init(cluster: Character(Unicode.Scalar($0)), width: 1, style: style) }
            return
        }
        for cluster in TerminalText.escaped(text) {
            let safe = Self.shortened(cluster)
            let width = DisplayWidth.of(safe)
            if width > 0 {
                pieces.append(.init(cluster: safe, width: width, style: style))
            } else if safe.unicodeScalars.contains(where: { DisplayWidth.isMark($0) }),
                let onBlank = ("\u{A0}" + String(safe)).first
            {
                pieces.append(.init(cluster: onBlank, width: 1, style: style))
            }
        }
    }

    private static func shortened(_ cluster: Character) -> Character {
        guard cluster.utf8.count > clusterLimit else { return cluster }
        var kept = String.UnicodeScalarView()
        var bytes = 0
        for scalar in cluster.unicodeScalars {
            bytes += UTF8.width(scalar)
            guard bytes <= clusterLimit else { break }
            kept.append(scalar)
        }
        return String(kept).first ?? "?"
    }
}

extension DisplayWidth {
    fileprivate static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: true
        default: false
        }
    }
}

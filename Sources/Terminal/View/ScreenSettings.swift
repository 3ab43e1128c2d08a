/// How a person wants the screen.
struct ScreenSettings: Hashable, Sendable {
    enum Bell: String, Hashable, Sendable, CaseIterable { case off, mentions, all }

    var hasColours = true
    /// Nothing but ASCII is drawn: frames and marks in ASCII, every other letter as `?`.
    var isASCII = false
    var hasLinks = true
    var bell = Bell.mentions
    /// nil: where the screen is wide enough.
    var showsMembers: Bool?
    /// A command gives tokens, and can be asked again.
    var hasTokenCommand = false
    /// What is unsent waits in a file for the next time.
    var keepsUnsent = false
}

/// The signs that the screen itself draws, in two alphabets.
struct Glyphs: Hashable, Sendable {
    let vertical, horizontal, more, sending, stored, refused, down: Character

    static let unicode = Glyphs(
        vertical: "│", horizontal: "─", more: "…", sending: "·", stored: "✓", refused: "✗", down: "↓")
    static let ascii = Glyphs(
        vertical: "|", horizontal: "-", more: "~", sending: ".", stored: "+", refused: "!", down: "v")
}

/// Which colour somebody's name has: the same always and everywhere, by FNV-1a over the id. Red is for errors.
enum NickColour {
    private static let palette: [Style.Colour] = [
        .green, .yellow, .blue, .magenta, .cyan, .brightGreen, .brightYellow, .brightBlue, .brightMagenta, .brightCyan,
    ]

    static func of(_ userID: String) -> Style.Colour {
        var hash: UInt32 = 0x811C_9DC5
        for byte in userID.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
        return palette[Int(hash % UInt32(palette.count))]
    }
}

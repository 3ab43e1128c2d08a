/// What the terminal is told when the full screen begins and ends.
///
/// `leave` undoes all that `enter` may have done, whatever has happened in between, also when it was never entered or is
/// left twice: it is what a crash handler writes.
enum TerminalModes {
    /// The other screen, no automatic wrapping, bracketed paste, mouse wheel if wanted.
    static func enter(hasMouse: Bool) -> String {
        "\u{1B}[?1049h\u{1B}[?7l\u{1B}[?2004h\u{1B}[0m\u{1B}[2J" + (hasMouse ? "\u{1B}[?1000h\u{1B}[?1006h" : "")
    }

    /// Ends an update that was cut short, a link, a style; shows the cursor.
    static let leave =
        "\u{1B}\\\u{1B}]8;;\u{1B}\\\u{1B}[?2026l\u{1B}[?1006l\u{1B}[?1000l\u{1B}[?2004l\u{1B}[0m\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"

    static let bell = "\u{7}"
}

/// What a person did at the keyboard or with the wheel.
enum Key: Hashable, Sendable {
    /// Typed text: one code point at a time, so a letter and its accent may come apart.
    case text(String)
    /// A letter or sign with Ctrl: `control("a")`; always lower case.
    case control(Character)
    /// With Alt, or after Esc.
    case alt(Character)
    case named(Name, Modifiers = [])
    /// Pasted at once (bracketed paste). Line ends are newlines.
    case paste(String)
    /// More was pasted than is taken.
    case pasteTooLong
    /// The wheel, with the column and row under the pointer, from 0.
    case wheel(up: Bool, column: Int, row: Int)

    enum Name: Hashable, Sendable {
        case enter, tab, backTab, backspace, escape
        case up, down, left, right, home, end, pageUp, pageDown, insert, delete
        case function(Int)
    }

    struct Modifiers: OptionSet, Hashable, Sendable {
        let rawValue: Int
        static let shift = Modifiers(rawValue: 1)
        static let alt = Modifiers(rawValue: 2)
        static let control = Modifiers(rawValue: 4)
    }
}

/// How a cell looks: the sixteen colours that every terminal lets its user choose, and attributes.
struct Style: Hashable, Sendable {
    /// The terminal's own colours by number; `standard` is whatever it shows text in.
    enum Colour: UInt8, Hashable, Sendable {
        case standard, red, green, yellow, blue, magenta, cyan, grey
        case brightRed, brightGreen, brightYellow, brightBlue, brightMagenta, brightCyan

        /// The parameter of SGR for the foreground (ECMA-48, 8.3.117, and the bright ones of aixterm).
        var code: Int {
            switch self {
            case .standard: 39
            case .red: 31
            case .green: 32
            case .yellow: 33
            case .blue: 34
            case .magenta: 35
            case .cyan: 36
            case .grey: 90
            case .brightRed: 91
            case .brightGreen: 92
            case .brightYellow: 93
            case .brightBlue: 94
            case .brightMagenta: 95
            case .brightCyan: 96
            }
        }
    }

    struct Attributes: OptionSet, Hashable, Sendable {
        let rawValue: UInt8
        static let bold = Attributes(rawValue: 1)
        static let dim = Attributes(rawValue: 2)
        static let italic = Attributes(rawValue: 4)
        static let underline = Attributes(rawValue: 8)
        static let reverse = Attributes(rawValue: 16)
    }

    var colour = Colour.standard
    var attributes: Attributes = []
    /// Where a click leads (OSC 8). Only what `Link` has found safe gets here.
    var link: String?

    static let plain = Style()
    static let dim = Style(attributes: .dim)
    static let bold = Style(attributes: .bold)
    static let reverse = Style(attributes: .reverse)

    func with(_ more: Attributes) -> Style {
        var style = self
        style.attributes.formUnion(more)
        return style
    }

    /// The whole of it as one SGR sequence, from whatever was before.
    var sequence: String {
        var codes = "0"
        for (attribute, code) in [
            (Attributes.bold, 1), (.dim, 2), (.italic, 3), (.underline, 4), (.reverse, 7),
        ] where attributes.contains(attribute) {
            codes += ";\(code)"
        }
        if colour != .standard { codes += ";\(colour.code)" }
        return "\u{1B}[\(codes)m"
    }

    /// Without colours, for people and terminals that want none; what colours alone would say is said by attributes.
    var withoutColour: Style {
        var style = self
        if colour == .red || colour == .brightRed { style.attributes.insert(.bold) }
        style.colour = .standard
        return style
    }
}

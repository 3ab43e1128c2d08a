/// Makes foreign text safe to print on a terminal, one line of it.
///
/// Control characters (C0, C1, DEL), line separators and the characters that reorder or hide others (bidirectional
/// overrides, tags) come out as visible escapes. The joiners that emoji and many scripts need stay.
public enum TerminalText {
    public static func escaped(_ text: String) -> String {
        if text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) { return text }
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": shown.append(contentsOf: "\\n".unicodeScalars)
            case "\r": shown.append(contentsOf: "\\r".unicodeScalars)
            case "\t": shown.append(contentsOf: "\\t".unicodeScalars)
            case "\u{1B}": shown.append(contentsOf: "\\e".unicodeScalars)
            case _ where isObeyed(scalar):
                shown.append(contentsOf: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".unicodeScalars)
            default: shown.append(scalar)
            }
        }
        return String(shown)
    }

    /// The same for JSON, one line of it: what a terminal would obey becomes an escape of JSON. Outside of strings JSON has
    /// nothing of the kind.
    static func escapedJSON(_ json: String) -> String {
        guard json.unicodeScalars.contains(where: isObeyed) else { return json }
        var shown = String.UnicodeScalarView()
        for scalar in json.unicodeScalars {
            guard isObeyed(scalar) else {
                shown.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                shown.append(
                    contentsOf: "\\u\(String(repeating: "0", count: 4 - digits.utf8.count))\(digits)".unicodeScalars)
            }
        }
        return String(shown)
    }

    /// Whether a terminal does something with it instead of showing it.
    static func isObeyed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate: true
        // Zero-width joiner and non-joiner are part of words and emoji.
        case .format: scalar.value != 0x200D && scalar.value != 0x200C
        default: false
        }
    }
}

/// Web addresses in a text: left whole, and offered to the terminal to click.
///
/// Only `http` and `https`, only printable ASCII, at most `limit` bytes, and what is shown is where it leads: a link made
/// here can neither end its own control sequence nor say one thing and open another.
enum Link {
    static let limit = 2_000

    /// The addresses in `text`, in order. Closing signs at the end that belong to the sentence are left out.
    static func ranges(in text: String) -> [Range<String.Index>] {
        var found: [Range<String.Index>] = []
        var from = text.startIndex
        while let scheme = text[from...].firstRange(of: "http") {
            from = scheme.upperBound
            var rest = text[scheme.upperBound...]
            if rest.first == "s" { rest = rest.dropFirst() }
            guard rest.hasPrefix("://") else { continue }
            if scheme.lowerBound > text.startIndex {
                let before = text[text.index(before: scheme.lowerBound)]
                if before.isLetter || before.isNumber { continue }
            }
            var address = text[scheme.lowerBound...].prefix { isAllowed($0) }
            while let last = address.last, isClosing(last, in: address) { address.removeLast() }
            let begun = text.distance(from: scheme.lowerBound, to: rest.startIndex) + 3
            guard address.count > begun, address.utf8.count <= limit else { continue }
            found.append(address.startIndex..<address.endIndex)
            from = address.endIndex
        }
        return found
    }

    private static func isAllowed(_ character: Character) -> Bool {
        guard let byte = character.asciiValue else { return false }
        return (0x21...0x7E).contains(byte) && !"\"<>\\^`{|}".contains(character)
    }

    private static func isClosing(_ character: Character, in address: Substring) -> Bool {
        switch character {
        case ".", ",", ";", ":", "!", "?", "'": true
        // A bracket that was opened inside stays, as in addresses of Wikipedia.
        case ")": address.count { $0 == "(" } < address.count { $0 == ")" }
        case "]": address.count { $0 == "[" } < address.count { $0 == "]" }
        default: false
        }
    }
}

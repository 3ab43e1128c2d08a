/// How many columns text takes on a terminal.
///
/// The unit is the extended grapheme cluster (Unicode Standard Annex 29), which is Swift's `Character`: a base with its
/// combining marks, an emoji with its modifiers and joiners, a flag of two letters. Terminals agree on most of them; the
/// few they disagree about are told by `isContested`, so that whoever draws can set the cursor anew behind one.
enum DisplayWidth {
    /// 0 for what only changes its neighbours, such as a lone combining mark; 2 for ideographs and emoji; more for a
    /// cluster of several letters, as Indian scripts have. Control characters count 0: escape text first.
    static func of(_ cluster: Character) -> Int {
        let scalars = cluster.unicodeScalars
        var next = scalars.makeIterator()
        guard let base = next.next() else { return 0 }
        guard let second = next.next() else { return of(base) }
        // A flag of two letters.
        if isRegionalIndicator(base), isRegionalIndicator(second) { return 2 }
        var width = of(base)
        var isJoined = false
        var scalar: Unicode.Scalar? = second
        while let current = scalar {
            switch current.value {
            // An emoji is wanted of a character that may be one.
            case 0xFE0F where base.properties.isEmoji: width = 2
            case 0x200D where isPictograph(base): isJoined = true
            case _ where isJoined || current.properties.isEmojiModifier && isPictograph(base): break
            default: width += of(current)
            }
            scalar = next.next()
        }
        return isJoined ? max(width, 2) : width
    }

    static func of(_ text: some StringProtocol) -> Int {
        if text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) { return text.utf8.count }
        return text.reduce(0) { $0 + of($1) }
    }

    /// Of one code point by itself.
    static func of(_ scalar: Unicode.Scalar) -> Int {
        let value = scalar.value
        if value < 0x300 { return (0x20...0x7E).contains(value) || value >= 0xA0 ? 1 : 0 }
        // The vowels and final consonants of Hangul stand in the square of the consonant before them.
        if (0x1160...0x11FF).contains(value) || (0xD7B0...0xD7FF).contains(value) { return 0 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: return WideRanges.contains(scalar) ? 2 : 1
        }
    }

    /// Terminals differ in how many columns they give it: they follow Unicode's rules for sequences to different degrees,
    /// and of different versions.
    static func isContested(_ cluster: Character) -> Bool {
        let scalars = cluster.unicodeScalars
        guard let base = scalars.first else { return false }
        if base.value < 0x300, scalars.count == 1 { return false }
        if base.properties.isEmoji && base.value > 0xFF || isRegionalIndicator(base) { return true }
        // Not in the tables of a terminal that is some years old, or never in any.
        switch base.properties.generalCategory {
        case .privateUse, .unassigned: return true
        default: guard let age = base.properties.age, age.major <= 14 else { return true }
        }
        // Circled numbers and hexagrams: narrow in some versions of Unicode or of the C library, wide in others.
        if (0x3248...0x324F).contains(base.value) || (0x4DC0...0x4DFF).contains(base.value) { return true }
        return scalars.dropFirst().contains { scalar in
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark: (0xFE00...0xFE0F).contains(scalar.value) || scalar.value == 0x20E3
            default: true
            }
        }
    }

    private static func isPictograph(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isEmoji && scalar.value > 0xFF
    }

    private static func isRegionalIndicator(_ scalar: Unicode.Scalar) -> Bool {
        (0x1F1E6...0x1F1FF).contains(scalar.value)
    }
}

/// Characters that end a line or that a terminal acts upon, in names that other nodes choose: a log line, a status page and
/// a JSON text are read by people and by programs that take them for more than text.
extension Text {
    /// Whether there is a control character (below U+0020, DEL, U+0080 to U+009F) or a line end (U+2028, U+2029). O(n).
    public var hasControls: Bool { string.unicodeScalars.contains(where: Self.isControl) }

    /// With U+FFFD in the place of each such character.
    public var withoutControls: Text {
        guard hasControls else { return self }
        var scalars = String.UnicodeScalarView()
        for scalar in string.unicodeScalars { scalars.append(Self.isControl(scalar) ? "\u{FFFD}" : scalar) }
        return Text(String(scalars))
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029: true
        default: false
        }
    }
}

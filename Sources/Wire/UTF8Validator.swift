/// Says whether bytes that arrive in pieces are UTF-8, as early as it can be known.
///
/// A WebSocket text message may be cut anywhere, also inside a character, and must be refused at the first byte that no
/// continuation can mend (RFC 6455, section 8.1). The invariant: between two calls the whole past is one byte of state,
/// namely what the next byte may be. Accepted is exactly table 3-7 of the Unicode standard ("Well-Formed UTF-8 Byte
/// Sequences"): no overlong forms, no surrogates, nothing above U+10FFFF.
public struct UTF8Validator: Sendable {
    /// What the next byte may be.
    private enum State: UInt8 {
        /// Any lead byte: a character has just ended.
        case boundary
        /// So many continuation bytes, 80 to BF.
        case one, two, three
        /// After E0 (A0 to BF, else overlong), ED (80 to 9F, else a surrogate), F0 (90 to BF, else overlong) and
        /// F4 (80 to 8F, else above U+10FFFF).
        case afterE0, afterED, afterF0, afterF4
        /// Nothing any more.
        case invalid
    }

    private var state = State.boundary

    public init() {}

    /// Whether what has been fed so far is valid and ends with a whole character.
    public var isComplete: Bool { state == .boundary }

    /// Whether `bytes` alone are valid UTF-8. O(count).
    public static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var validator = UTF8Validator()
        return validator.feed(bytes) && validator.isComplete
    }

    /// Takes the next bytes; false as soon as no continuation can make the whole valid, and then for ever. O(count).
    public mutating func feed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let count = bytes.count
        guard let base = bytes.baseAddress else { return state != .invalid }
        var at = 0
        // The rest of a character that the bytes before had begun.
        while at < count, state != .boundary {
            state = Self.next(state, base.load(fromByteOffset: at, as: UInt8.self))
            if state == .invalid { return false }
            at += 1
        }
        while count - at >= 8 {
            var word = Self.word(base, at)
            while word & Self.highBits == 0 {
                at += 8
                if count - at < 8 { break }
                word = Self.word(base, at)
            }
            guard count - at >= 8 else { break }
            at += (word & Self.highBits).trailingZeroBitCount >> 3
            // Whole characters, as long as four bytes can be looked at in one load.
            while count - at >= 4 {
                let length = Self.characterLength(base, at)
                if length == 0 {
                    state = .invalid
                    return false
                }
                at += length
                if length == 1 { break }
            }
        }
        while at < count {
            state = Self.next(state, base.load(fromByteOffset: at, as: UInt8.self))
            if state == .invalid { return false }
            at += 1
        }
        return state != .invalid
    }

    private static let highBits: UInt64 = 0x8080_8080_8080_8080

    @inline(__always)
    private static func word(_ base: UnsafeRawPointer, _ at: Int) -> UInt64 {
        UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    }

    /// The length of the character at `at`, whose first four bytes can be read; 0 where there is none. The masks read a
    /// little-endian word: the lead byte is the lowest.
    @inline(__always)
    private static func characterLength(_ base: UnsafeRawPointer, _ at: Int) -> Int {
        let word = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        if word & 0x80 == 0 { return 1 }
        if word & 0x00C0_C0F0 == 0x0080_80E0 {
            // The bits that tell E0 80–9F (all clear: overlong) and ED A0–BF (a surrogate).
            let telling = word & 0x200F
            return telling != 0 && telling != 0x200D ? 3 : 0
        }
        if word & 0x0000_C0E0 == 0x0000_80C0 {
            // C0 and C1 are overlong.
            return word & 0x1E != 0 ? 2 : 0
        }
        if word & 0xC0C0_C0F8 == 0x8080_80F0 {
            // All clear: F0 80–8F, overlong. With the 4 of F4 set, anything else set is above U+10FFFF.
            let telling = word & 0x3007
            return telling != 0 && (telling & 4 == 0 || telling == 4) ? 4 : 0
        }
        return 0
    }

    private static func next(_ state: State, _ byte: UInt8) -> State {
        switch state {
        case .boundary:
            switch byte {
            case 0x00...0x7F: .boundary
            case 0xC2...0xDF: .one
            case 0xE0: .afterE0
            case 0xED: .afterED
            case 0xE1...0xEF: .two
            case 0xF0: .afterF0
            case 0xF1...0xF3: .three
            case 0xF4: .afterF4
            default: .invalid
            }
        case .one: byte & 0xC0 == 0x80 ? .boundary : .invalid
        case .two: byte & 0xC0 == 0x80 ? .one : .invalid
        case .three: byte & 0xC0 == 0x80 ? .two : .invalid
        case .afterE0: 0xA0...0xBF ~= byte ? .one : .invalid
        case .afterED: 0x80...0x9F ~= byte ? .one : .invalid
        case .afterF0: 0x90...0xBF ~= byte ? .two : .invalid
        case .afterF4: 0x80...0x8F ~= byte ? .two : .invalid
        case .invalid: .invalid
        }
    }
}

/// Turns a terminal's bytes into keys, however they are cut.
///
/// Understands UTF-8, CSI and SS3 sequences (ECMA-48; the keys of VT220 and xterm, with xterm's modifiers and `CSI u`),
/// Esc as Alt, bracketed paste, and the wheel in SGR mouse reports (xterm's mode 1006).
///
/// Bounds: a sequence keeps at most `sequenceLimit` bytes and a paste `pasteLimit`; what is longer is read to its end and
/// dropped. Unknown sequences are dropped whole, never taken as text. Bytes that are not UTF-8 are U+FFFD.
///
/// A lone Esc can't be told from the beginning of a sequence: while `patience` is not nil the caller calls `timeout` when
/// nothing has come for that long.
struct KeyDecoder {
    static let sequenceLimit = 64
    static let pasteLimit = 1 << 20

    private enum State {
        case ground
        case escape
        /// Esc twice: Alt with a key that is a sequence itself.
        case escapeEscape
        case csi
        case ss3
        case paste
        /// A string sequence (OSC, DCS, APC, PM, SOS): an answer nobody asked for. Dropped up to its end.
        case string(isEscaped: Bool)
    }

    private var state = State.ground
    private var hasAlt = false
    private var sequence: [UInt8] = []
    private var isTooLong = false
    /// Bytes of a character that is not whole yet.
    private var partial: [UInt8] = []
    private var pasted: [UInt8] = []

    /// How long to wait for the rest before `timeout`, in nanoseconds; nil where nothing is open.
    var patience: UInt64? {
        switch state {
        case .ground: partial.isEmpty ? nil : 100_000_000
        case .escape, .escapeEscape, .csi, .ss3: 50_000_000
        // An end that was lost must not swallow everything that is typed from then on.
        case .paste, .string: 1_000_000_000
        }
    }

    mutating func feed(_ bytes: some Sequence<UInt8>, into keys: inout [Key]) {
        for byte in bytes { take(byte, &keys) }
    }

    /// Nothing has come for `patience`: what is open ends here.
    mutating func timeout(into keys: inout [Key]) {
        switch state {
        case .ground: flushPartial(&keys)
        case .escape: keys.append(.named(.escape))
        case .escapeEscape: keys += [.named(.escape), .named(.escape)]
        // Alt with the key that would begin a sequence.
        case .csi where sequence.isEmpty: keys.append(.alt("["))
        case .ss3: keys.append(.alt("O"))
        case .csi, .string: break
        case .paste: endPaste(&keys)
        }
        reset()
    }

    private mutating func reset() {
        state = .ground
        hasAlt = false
        isTooLong = false
        sequence.removeAll(keepingCapacity: true)
    }

    private mutating func take(_ byte: UInt8, _ keys: inout [Key]) {
        switch state {
        case .ground: ground(byte, &keys)
        case .escape, .escapeEscape: afterEscape(byte, &keys)
        case .csi: csi(byte, &keys)
        case .ss3: ss3(byte, &keys)
        case .paste: paste(byte, &keys)
        case .string(let isEscaped):
            switch byte {
            case 0x07, 0x18, 0x1A: reset()
            case UInt8(ascii: "\\") where isEscaped: reset()
            default: state = .string(isEscaped: byte == 0x1B)
            }
        }
    }

    // MARK: Text

    private mutating func ground(_ byte: UInt8, _ keys: inout [Key]) {
        if byte >= 0x80 || !partial.isEmpty {
            character(byte, &keys)
        } else if byte == 0x1B {
            state = .escape
        } else {
            keys.append(Self.key(ascii: byte))
        }
    }

    /// Gathers a character of several bytes.
    private mutating func character(_ byte: UInt8, _ keys: inout [Key]) {
        if !partial.isEmpty, byte & 0xC0 != 0x80 {
            // What was begun is not continued: it is told as broken, and this byte begins anew.
            flushPartial(&keys)
            return take(byte, &keys)
        }
        partial.append(byte)
        let length =
            switch partial[0] {
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 1
            }
        guard partial.count >= length else { return }
        flushPartial(&keys)
    }

    private mutating func flushPartial(_ keys: inout [Key]) {
        guard !partial.isEmpty else { return }
        let text = String(decoding: partial, as: UTF8.self)
        partial.removeAll(keepingCapacity: true)
        // C1 control characters are nobody's typing.
        let scalars = text.unicodeScalars
        if scalars.count == 1, let only = scalars.first, only.value < 0xA0 { return }
        let isAlt = hasAlt
        hasAlt = false
        if isAlt, text.count == 1, let letter = text.first { return keys.append(.alt(letter)) }
        keys.append(.text(scalars.count == 1 ? text : "\u{FFFD}"))
    }

    private static func key(ascii byte: UInt8) -> Key {
        switch byte {
        case 0x0D, 0x0A: .named(.enter)
        case 0x09: .named(.tab)
        case 0x7F, 0x08: .named(.backspace)
        case 0x00: .control(" ")
        case 0x01...0x1A: .control(Character(Unicode.Scalar(byte + 0x60)))
        case 0x1B: .named(.escape)
        case 0x1C...0x1F: .control(Character(Unicode.Scalar(byte + 0x40)))
        default: .text(String(Character(Unicode.Scalar(byte))))
        }
    }

    // MARK: Sequences

    private mutating func afterEscape(_ byte: UInt8, _ keys: inout [Key]) {
        if case .escapeEscape = state { hasAlt = true }
        switch byte {
        case UInt8(ascii: "["): state = .csi
        case UInt8(ascii: "O"): state = .ss3
        case UInt8(ascii: "]"), UInt8(ascii: "P"), UInt8(ascii: "_"), UInt8(ascii: "^"), UInt8(ascii: "X"):
            // As answers from the terminal. Alt with these letters is given up for that.
            state = .string(isEscaped: false)
        case 0x1B:
            if case .escapeEscape = state { keys.append(.named(.escape)) }
            hasAlt = false
            state = .escapeEscape
        case 0x80...:
            reset()
            hasAlt = true
            character(byte, &keys)
        default:
            if case .escapeEscape = state { keys.append(.named(.escape)) }
            reset()
            switch Self.key(ascii: byte) {
            case .text(let text): keys.append(.alt(Character(text)))
            case .control(let letter): keys += [.named(.escape), .control(letter)]
            case .named(let name, let modifiers): keys.append(.named(name, modifiers.union(.alt)))
            default: break
            }
        }
    }

    private mutating func csi(_ byte: UInt8, _ keys: inout [Key]) {
        switch byte {
        case 0x20...0x3F:
            if sequence.count < Self.sequenceLimit { sequence.append(byte) } else { isTooLong = true }
        // The Linux console's function keys: CSI [ A to CSI [ E.
        case UInt8(ascii: "[") where sequence.isEmpty: sequence.append(byte)
        case 0x40...0x7E:
            let (parameters, wasTooLong, isAlt) = (sequence, isTooLong, hasAlt)
            reset()
            guard !wasTooLong else { return }
            finish(parameters, byte, isAlt, &keys)
        default:
            // No part of a sequence: that one is dropped, and this begins anew.
            reset()
            take(byte, &keys)
        }
    }

    private mutating func ss3(_ byte: UInt8, _ keys: inout [Key]) {
        let isAlt = hasAlt
        // A digit or two may stand before the letter: modifiers of old terminals.
        if (0x30...0x3B).contains(byte), sequence.count < 8 { return sequence.append(byte) }
        reset()
        let modifiers: Key.Modifiers = isAlt ? .alt : []
        switch byte {
        case UInt8(ascii: "M"): keys.append(.named(.enter, modifiers))
        case UInt8(ascii: "P")...UInt8(ascii: "S"): keys.append(.named(.function(Int(byte) - 79), modifiers))
        case 0x40...0x7E:
            if let name = Self.name(final: byte) { keys.append(.named(name, modifiers)) }
        default: take(byte, &keys)
        }
    }

    private mutating func finish(_ parameters: [UInt8], _ final: UInt8, _ isAlt: Bool, _ keys: inout [Key]) {
        if parameters.first == UInt8(ascii: "<") {
            return mouse(Self.numbers(parameters.dropFirst()), final, &keys)
        }
        if parameters == [UInt8(ascii: "[")] {
            if (65...69).contains(final) { keys.append(.named(.function(Int(final) - 64))) }
            return
        }
        guard parameters.allSatisfy({ (0x30...0x3B).contains($0) }) else { return }
        let numbers = Self.numbers(parameters[...])
        var modifiers = Self.modifiers(numbers.count > 1 ? numbers[1] : 1)
        if isAlt { modifiers.formUnion(.alt) }
        switch final {
        case UInt8(ascii: "~"):
            switch numbers.first ?? 0 {
            case 200: state = .paste
            // xterm's modifyOtherKeys: CSI 27 ; modifiers ; code ~
            case 27 where numbers.count == 3: keys += Self.keys(code: numbers[2], modifiers)
            case let number:
                if let name = Self.name(number: number) { keys.append(.named(name, modifiers)) }
            }
        case UInt8(ascii: "u"): keys += Self.keys(code: numbers.first ?? 0, modifiers)
        case UInt8(ascii: "P")...UInt8(ascii: "S"):
            keys.append(.named(.function(Int(final) - 79), modifiers))
        default:
            if let name = Self.name(final: final) { keys.append(.named(name, modifiers)) }
        }
    }

    /// xterm's mode 1006: `CSI < button ; column ; row M`. Only the wheel is of use.
    private func mouse(_ numbers: [Int], _ final: UInt8, _ keys: inout [Key]) {
        guard numbers.count == 3, final == UInt8(ascii: "M"), numbers[0] & ~0x1C == 64 || numbers[0] & ~0x1C == 65
        else {
            return
        }
        keys.append(
            .wheel(up: numbers[0] & 1 == 0, column: max(numbers[1] - 1, 0), row: max(numbers[2] - 1, 0)))
    }

    private static func modifiers(_ number: Int) -> Key.Modifiers {
        number > 1 ? Key.Modifiers(rawValue: (number - 1) & 7) : []
    }

    /// A key that is told by its code point, with its modifiers.
    private static func keys(code: Int, _ modifiers: Key.Modifiers) -> [Key] {
        if code < 0x20 || code == 0x7F {
            guard case .named(let name, _) = key(ascii: UInt8(clamping: code)) else { return [] }
            if name == .tab, modifiers.contains(.shift) { return [.named(.backTab)] }
            return [.named(name, modifiers)]
        }
        guard let scalar = Unicode.Scalar(UInt32(clamping: code)), code >= 0xA0 || code < 0x7F else { return [] }
        let letter = Character(scalar)
        if modifiers.contains(.control), let lower = letter.lowercased().first { return [.control(lower)] }
        return [modifiers.contains(.alt) ? .alt(letter) : .text(String(letter))]
    }

    /// At most 8 numbers, each below a million.
    private static func numbers(_ bytes: ArraySlice<UInt8>) -> [Int] {
        bytes.split(separator: UInt8(ascii: ";"), maxSplits: 8, omittingEmptySubsequences: false).map { digits in
            digits.reduce(0) { value, digit in
                (0x30...0x39).contains(digit) ? min(value * 10 + Int(digit) - 0x30, 999_999) : value
            }
        }
    }

    private static func name(final: UInt8) -> Key.Name? {
        switch final {
        case UInt8(ascii: "A"): .up
        case UInt8(ascii: "B"): .down
        case UInt8(ascii: "C"): .right
        case UInt8(ascii: "D"): .left
        case UInt8(ascii: "F"): .end
        case UInt8(ascii: "H"): .home
        case UInt8(ascii: "Z"): .backTab
        default: nil
        }
    }

    private static func name(number: Int) -> Key.Name? {
        switch number {
        case 1, 7: .home
        case 2: .insert
        case 3: .delete
        case 4, 8: .end
        case 5: .pageUp
        case 6: .pageDown
        case 11...15: .function(number - 10)
        case 17...21: .function(number - 11)
        case 23, 24: .function(number - 12)
        default: nil
        }
    }

    // MARK: Paste

    private static let pasteEnd: [UInt8] = Array("\u{1B}[201~".utf8)

    private mutating func paste(_ byte: UInt8, _ keys: inout [Key]) {
        // `sequence` holds as much of the end mark as has come.
        if byte == Self.pasteEnd[sequence.count] {
            sequence.append(byte)
            if sequence.count == Self.pasteEnd.count {
                endPaste(&keys)
                reset()
            }
            return
        }
        let held = sequence
        sequence.removeAll(keepingCapacity: true)
        for byte in held { keep(byte) }
        // Only its first byte is Esc, so what breaks a mark can begin another only by being Esc.
        if byte == Self.pasteEnd[0] { sequence.append(byte) } else { keep(byte) }
    }

    private mutating func keep(_ byte: UInt8) {
        if pasted.count < Self.pasteLimit { pasted.append(byte) } else { isTooLong = true }
    }

    private mutating func endPaste(_ keys: inout [Key]) {
        let text = String(decoding: pasted, as: UTF8.self)
        pasted = []
        if isTooLong { return keys.append(.pasteTooLong) }
        guard !text.isEmpty else { return }
        // Terminals send what was a newline as a carriage return.
        var lines = String.UnicodeScalarView()
        var afterReturn = false
        for scalar in text.unicodeScalars {
            if scalar == "\r" || scalar == "\n" && !afterReturn { lines.append("\n") }
            if scalar != "\r", scalar != "\n" { lines.append(scalar) }
            afterReturn = scalar == "\r"
        }
        keys.append(.paste(String(lines)))
    }
}

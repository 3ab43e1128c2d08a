/// One setting, declared once: its variable, what it means, what it accepts, and which field of `Settings` it fills.
///
/// Reading the environment, the flags, `serve --help`, `serve --check` and the documentation's table all come from these
/// declarations (see `Setting.all`), so they can't disagree.
public struct Setting: Sendable {
    public let variable: String
    public let group: Group
    public let meaning: String
    /// What a value must be, as the end of a sentence: "must be a whole number from 0 to 65535".
    public let accepted: String
    /// The value when nothing is set, in words where there is no single one.
    public let defaultText: String
    /// A secret has no flag, since command lines show in `ps`, and its value is never shown.
    public let isSecret: Bool
    /// A flag without a value: `--echo` is `--echo=1`.
    public let isSwitch: Bool
    /// The value is a file's name: shells complete it so.
    public let isFile: Bool
    /// Shorter names for the flag.
    public let aliases: [String]

    /// Puts the value into the settings; nil if it did, else what is accepted.
    let read: @Sendable (_ value: String, _ settings: inout Settings) -> String?
    /// The value in use, as one would write it; secrets masked.
    let show: @Sendable (Settings) -> String

    public enum Group: String, CaseIterable, Sendable {
        case listening = "Listening"
        case storage = "Storage"
        case access = "Who may connect"
        case limits = "Limits"
        case times = "Times (500ms, 10s, 2m, 1h30m)"
        case cluster = "The cluster"
        case node = "The node"
    }

    /// `--history-limit` for `CONVERGE_HISTORY_LIMIT`, without the dashes; nil for secrets.
    public var flag: String? {
        guard !isSecret else { return nil }
        let name = variable.hasPrefix("CONVERGE_") ? variable.dropFirst("CONVERGE_".count) : variable[...]
        return String(name.map { $0 == "_" ? "-" : $0 }).lowercased()
    }

    init(
        _ variable: String, _ group: Group, _ meaning: String, accepted: String, default defaultText: String? = nil,
        secret: Bool = false, isSwitch: Bool = false, isFile: Bool = false, aliases: [String] = [],
        show: @escaping @Sendable (Settings) -> String,
        read: @escaping @Sendable (_ value: String, _ settings: inout Settings) -> String?
    ) {
        self.variable = variable
        self.group = group
        self.meaning = meaning
        self.accepted = accepted
        self.defaultText = defaultText ?? show(Settings())
        self.isSecret = secret
        self.isSwitch = isSwitch
        self.isFile = isFile
        self.aliases = aliases
        self.show = show
        self.read = read
    }
}

/// The usual kinds of settings.
extension Setting {
    typealias Field<Value> = WritableKeyPath<Settings, Value> & Sendable

    static func whole(
        _ variable: String, _ group: Group, _ meaning: String, _ field: Field<Int>, in range: ClosedRange<Int>,
        default defaultText: String? = nil
    ) -> Setting {
        let accepted = "must be a whole number from \(range.lowerBound) to \(range.upperBound)"
        return Setting(variable, group, meaning, accepted: accepted, default: defaultText) {
            "\($0[keyPath: field])"
        } read: { value, settings in
            guard let number = wholeNumber(value), range.contains(number) else { return accepted }
            settings[keyPath: field] = number
            return nil
        }
    }

    /// Digits, perhaps after a minus; nothing that `Int.init` would also let pass, such as a plus.
    static func wholeNumber(_ text: String) -> Int? {
        guard text.utf8.first != UInt8(ascii: "+") else { return nil }
        return Int(text)
    }

    /// With `zero`, 0 is accepted besides the range and means that.
    static func duration(
        _ variable: String, _ group: Group, _ meaning: String, _ field: Field<Duration>,
        in range: ClosedRange<Duration>,
        zero: String? = nil, default defaultText: String? = nil
    ) -> Setting {
        var accepted = "must be a duration from \(DurationText.text(range.lowerBound))"
        accepted += " to \(DurationText.text(range.upperBound))"
        if let zero { accepted += ", or 0 (\(zero))" }
        accepted += ", such as 500ms, 10s or 1h30m"
        return Setting(variable, group, meaning, accepted: accepted, default: defaultText) {
            DurationText.text($0[keyPath: field])
        } read: { [accepted] value, settings in
            guard let duration = DurationText.parse(value) else { return accepted }
            guard range.contains(duration) || (zero != nil && duration == .zero) else { return accepted }
            settings[keyPath: field] = duration
            return nil
        }
    }

    static func choice<Value: RawRepresentable<String> & Sendable>(
        _ variable: String, _ group: Group, _ meaning: String, _ field: Field<Value>, of values: [Value]
    ) -> Setting {
        let names = values.map(\.rawValue)
        let accepted = "must be " + names.dropLast().joined(separator: ", ") + " or " + names[names.count - 1]
        return Setting(variable, group, meaning, accepted: accepted) {
            $0[keyPath: field].rawValue
        } read: { value, settings in
            guard let choice = Value(rawValue: value.lowercased()) else { return accepted }
            settings[keyPath: field] = choice
            return nil
        }
    }

    /// Text of 1 to `limit` bytes without control characters.
    static func text(
        _ variable: String, _ group: Group, _ meaning: String, _ field: Field<String?>, limit: Int, isFile: Bool = false
    ) -> Setting {
        let accepted = "must be text of at most \(limit) bytes without control characters"
        return Setting(variable, group, meaning, accepted: accepted, default: "", isFile: isFile) {
            $0[keyPath: field] ?? ""
        } read: { value, settings in
            guard value.utf8.count <= limit, value.isPrintable else { return accepted }
            settings[keyPath: field] = value
            return nil
        }
    }

    static func onOff(_ variable: String, _ group: Group, _ meaning: String, _ field: Field<Bool>) -> Setting {
        let accepted = "must be 1 or 0"
        return Setting(variable, group, meaning, accepted: accepted, isSwitch: true) {
            $0[keyPath: field] ? "1" : "0"
        } read: { value, settings in
            switch value.lowercased() {
            case "1", "true": settings[keyPath: field] = true
            case "0", "false": settings[keyPath: field] = false
            default: return accepted
            }
            return nil
        }
    }
}

extension String {
    /// No control characters, nor anything else that isn't a character.
    var isPrintable: Bool {
        unicodeScalars.allSatisfy { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: false
            default: true
            }
        }
    }
}

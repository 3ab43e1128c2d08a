/// One setting that can't be used: which, what it was set to, and what is accepted. A node does not start with one.
public struct SettingsError: Error, Hashable, Sendable {
    /// What the user wrote: `CONVERGE_HISTORY_LIMIT`, or `--history-limit` for a flag.
    public let variable: String
    /// What it was set to, cut at a readable length; nil where that must not be shown, or where nothing was set.
    public let value: String?
    /// What would be accepted, as the end of a sentence: "must be a whole number from 1 to 10000".
    public let problem: String

    public init(variable: String, value: String? = nil, problem: String) {
        self.variable = variable
        self.value = value.map { Self.readable($0) }
        self.problem = problem
    }

    /// One line, for a person.
    public var message: String {
        if let value { "\(variable)=\(value): \(problem)" } else { "\(variable): \(problem)" }
    }

    /// Quotes foreign text for one line of a terminal: no control characters, no more than 80 characters.
    static func readable(_ text: String) -> String {
        var shown = "\""
        for scalar in text.unicodeScalars.prefix(80) {
            shown += String(scalar).isPrintable ? String(scalar) : scalar.escaped(asASCII: true)
        }
        return shown + (text.unicodeScalars.count > 80 ? "…\"" : "\"")
    }
}

/// Every setting that was wrong, so that they can be mended in one go.
public struct InvalidSettings: Error, Hashable, Sendable {
    public let errors: [SettingsError]

    public init(errors: [SettingsError]) { self.errors = errors }
}

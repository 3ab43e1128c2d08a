/// The words after a command's name: flags with values (`--port 8080`, `--port=8080`), switches (`--check`), and the
/// rest. `--` ends the flags. Each mistake is an error that says what was meant, or what there is.
package struct Arguments: Hashable, Sendable {
    /// By flag, without the dashes; a switch has the value "1".
    package private(set) var values: [String: String] = [:]
    package private(set) var positional: [String] = []

    /// A flag that a command knows.
    package struct Flag: Hashable, Sendable {
        package let name: String
        /// Needs no value.
        package let isSwitch: Bool
        /// Its value is a file's name.
        package let isFile: Bool

        package init(_ name: String, isSwitch: Bool = false, isFile: Bool = false) {
            self.name = name
            self.isSwitch = isSwitch
            self.isFile = isFile
        }
    }

    package enum Mistake: Error, Hashable, Sendable {
        case unknown(flag: String, nearest: String?)
        case noValue(flag: String)
        case twice(flag: String)

        package var message: String {
            switch self {
            case .unknown(let flag, let nearest):
                "there is no flag \(flag)" + (nearest.map { ": did you mean --\($0)?" } ?? "")
            case .noValue(let flag): "\(flag) needs a value"
            case .twice(let flag): "\(flag) is given twice"
            }
        }
    }

    package init(_ words: [String], flags: [Flag]) throws(Mistake) {
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                positional += rest
                return
            }
            guard word.hasPrefix("-"), word != "-" else {
                positional.append(word)
                continue
            }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let written = String(parts[0])
            let name = String(written.drop { $0 == "-" })
            guard written == "--\(name)", let flag = flags.first(where: { $0.name == name }) else {
                throw .unknown(flag: written, nearest: Spelling.nearest(to: name, among: flags.map(\.name)))
            }
            guard values[name] == nil else { throw .twice(flag: written) }
            if parts.count == 2 {
                values[name] = String(parts[1])
            } else if flag.isSwitch {
                values[name] = "1"
            } else if let value = rest.first, !value.hasPrefix("--") {
                values[name] = value
                rest.removeFirst()
            } else {
                throw .noValue(flag: written)
            }
        }
    }
}

extension Settings {
    /// The flags of `converge serve`.
    package static var flags: [Arguments.Flag] {
        Setting.all.flatMap { setting in
            (setting.aliases + [setting.flag].compactMap(\.self)).map {
                Arguments.Flag($0, isSwitch: setting.isSwitch, isFile: setting.isFile)
            }
        }
    }
}

/// The settings as text: for `serve --help`, for `serve --check`, and as a table for the documentation.
extension Settings {
    /// What is in use, a line a setting, with where it comes from. No secret stands in it.
    public var listing: String {
        let rows = Setting.all.map { setting in
            (setting.variable, setting.show(self), sources[setting.variable]?.rawValue ?? "default")
        }
        let nameWidth = rows.map(\.0.count).max() ?? 0
        let valueWidth = min(40, rows.map(\.1.count).max() ?? 0)
        return rows.map { name, value, source in
            "\(name.padded(to: nameWidth))  \((value.isEmpty ? "-" : value).padded(to: valueWidth))  \(source)\n"
        }.joined()
    }

    /// Flags, variables, meanings and defaults, by group.
    public static var help: String {
        var text = ""
        for group in Setting.Group.allCases {
            text += "\(group.rawValue):\n"
            for setting in Setting.all where setting.group == group {
                var names = setting.aliases.map { "--\($0), " }.joined()
                names += setting.flag.map { "--\($0)" } ?? "(no flag)"
                text += "  \(names.padded(to: 23))  \(setting.variable.padded(to: 26))  \(setting.meaning)"
                text += setting.defaultText.isEmpty ? "\n" : " [\(setting.defaultText)]\n"
            }
            text += "\n"
        }
        return text
    }

    /// The same as a Markdown table, with what each accepts.
    public static var markdown: String {
        var text = "| variable | flag | meaning | accepted | default |\n| --- | --- | --- | --- | --- |\n"
        for setting in Setting.all {
            let cells = [
                "`\(setting.variable)`", setting.flag.map { "`--\($0)`" } ?? "", setting.meaning,
                setting.accepted.hasPrefix("must be ") ? String(setting.accepted.dropFirst(8)) : setting.accepted,
                setting.defaultText,
            ]
            text += "| " + cells.joined(separator: " | ") + " |\n"
        }
        return text
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - count))
    }
}

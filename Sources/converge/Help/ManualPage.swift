import ConvergeNode

/// A help text as a manual page, in the language of man(7).
struct ManualPage {
    /// `converge` or `converge-serve`.
    let name: String
    let summary: String
    let text: HelpText

    /// The page of a command, or of all of them together where `command` is nil.
    init(of command: Subcommand?) {
        let overview = HelpText(Usage.overview)
        if let command {
            name = "converge-\(command.rawValue)"
            summary = overview.items.first { $0.term.split(separator: " ")[1] == command.rawValue }?.meaning ?? ""
            text = HelpText(Usage.text(of: command))
        } else {
            name = "converge"
            summary = String(overview.synopsis[0].drop { $0 != " " }.dropFirst())
            text = overview
        }
    }

    var roff: String {
        var page = ".TH \(Self.quoted(name.uppercased())) 1 \"\" \"Converge \(ConvergeVersion.current)\" \"Converge\"\n"
        page += ".SH NAME\n\(Self.escaped(name)) \\- \(Self.escaped(summary))\n"
        page += ".SH SYNOPSIS\n"
        if name == "converge" {
            page += ".B converge\n.I COMMAND\n[ARGUMENT...]\n"
        } else {
            page += text.synopsis.map { "\(Self.line($0))\n" }.joined(separator: ".br\n")
        }
        page += ".SH DESCRIPTION\n"
        if name == "converge" { page += Self.line(text.synopsis[0]) + "\n" }
        var isFirst = true
        for block in text.blocks {
            switch block {
            case .paragraph(let words) where words.hasPrefix("Exit status: "):
                page += ".SH EXIT STATUS\n\(Self.line(String(words.dropFirst("Exit status: ".count))))\n"
            case .paragraph(let words): page += (isFirst ? "" : ".PP\n") + Self.line(words) + "\n"
            case .heading(let words): page += ".SS \(Self.quoted(words))\n"
            case .items(let items): for item in items { page += Self.tagged(item) }
            }
            isFirst = false
        }
        return page + ".SH SEE ALSO\n" + seeAlso
    }

    private var seeAlso: String {
        let names = ["converge"] + Subcommand.allCases.map { "converge-\($0.rawValue)" }
        let others = names.filter { $0 != name }
        return others.map { ".BR \(Self.escaped($0)) (1)" }.joined(separator: ",\n") + "\n"
    }

    private static func tagged(_ item: HelpText.Item) -> String {
        var tag = "\\fB\(escaped(item.term))\\fR"
        if let variable = item.variable { tag += ", \\fI\(escaped(variable))\\fR" }
        return ".TP\n\(tag)\n\(line(item.meaning))\n"
    }

    /// Text at a line's beginning, where a dot or an apostrophe would be a request.
    private static func line(_ text: String) -> String {
        let escaped = escaped(text)
        return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&" + escaped : escaped
    }

    /// A request's argument.
    private static func quoted(_ text: String) -> String {
        "\"" + escaped(text).replacing("\"", with: "\\(dq") + "\""
    }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "\\": escaped += "\\e"
            case "-": escaped += "\\-"
            case "…": escaped += "..."
            default: escaped.append(character)
            }
        }
        return escaped
    }
}

import ConvergeNode

/// What a shell completes after `converge`, made from the help texts.
enum Completions: String, CaseIterable {
    case bash, zsh, fish

    /// A flag as a shell has to know it.
    struct Flag: Equatable {
        /// With its dashes.
        let name: String
        let meaning: String
        let takesValue: Bool
        /// Whether the value is a file's name.
        let takesFile: Bool
    }

    struct Command: Equatable {
        let name: String
        let meaning: String
        let flags: [Flag]
        /// Whether a word without dashes is a file's name.
        let takesFile: Bool

        init(_ command: Subcommand) {
            let text = HelpText(Usage.text(of: command))
            name = command.rawValue
            meaning =
                HelpText(Usage.overview).items.first { $0.term.split(separator: " ")[1] == command.rawValue }?.meaning
                ?? ""
            flags = text.items.flatMap { item -> [Flag] in
                let words = item.term.split(separator: " ").map { $0.hasSuffix(",") ? $0.dropLast() : $0 }
                let argument = words.first { !$0.hasPrefix("-") }
                return words.filter { $0.hasPrefix("--") }.map { name in
                    let setting = item.variable == nil ? nil : Settings.flags.first { "--\($0.name)" == name }
                    return Flag(
                        name: String(name), meaning: item.meaning,
                        takesValue: argument != nil || setting.map { !$0.isSwitch } ?? false,
                        takesFile: argument == "FILE" || argument == "PATH" || setting?.isFile ?? false)
                }
            }
            takesFile = text.synopsis.first?.contains("\(command.rawValue) FILE") ?? false
        }
    }

    var script: String {
        let commands = Subcommand.allCases.map { Command($0) }
        return switch self {
        case .bash: Self.bash(commands)
        case .zsh: Self.zsh(commands)
        case .fish: Self.fish(commands)
        }
    }

    private static func bash(_ commands: [Command]) -> String {
        var script = """
            # bash completion for converge
            _converge() {
                local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} flags="" files=""
                COMPREPLY=()
                if [ "$COMP_CWORD" = 1 ]; then
                    COMPREPLY=($(compgen -W "\(commands.map(\.name).joined(separator: " "))" -- "$current"))
                    return
                fi
                case "${COMP_WORDS[1]} $before" in

            """
        for command in commands {
            let names = command.flags.filter(\.takesFile).map { "\"\(command.name) \($0.name)\"" }
            if !names.isEmpty { script += "    \(names.joined(separator: " | "))) files=yes ;;\n" }
            let others = command.flags.filter { $0.takesValue && !$0.takesFile }.map {
                "\"\(command.name) \($0.name)\""
            }
            if !others.isEmpty { script += "    \(others.joined(separator: " | "))) return ;;\n" }
        }
        script += "    esac\n    case \"${COMP_WORDS[1]}\" in\n"
        for command in commands {
            let flags = (command.flags.map(\.name) + ["--help"]).joined(separator: " ")
            let words = command.name == "help" ? commands.map(\.name).joined(separator: " ") + " settings" : flags
            script += "    \(command.name)) flags=\"\(words)\"\(command.takesFile ? " files=${files:-also}" : "") ;;\n"
        }
        return script + """
                esac
                [ "$files" = yes ] || COMPREPLY=($(compgen -W "$flags" -- "$current"))
                if [ -n "$files" ]; then
                    compopt -o filenames 2>/dev/null
                    local IFS=$'\\n'
                    COMPREPLY+=($(compgen -f -- "$current"))
                fi
            }
            complete -F _converge converge

            """
    }

    private static func zsh(_ commands: [Command]) -> String {
        var script = "#compdef converge\n\n_converge() {\n    local -a commands\n    commands=(\n"
        for command in commands { script += "        \(quoted("\(command.name):\(command.meaning)"))\n" }
        script += "    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        return\n    fi\n"
        script += "    local command=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $command in\n"
        for command in commands {
            script += "    \(command.name))\n        _arguments \\\n"
            for flag in command.flags {
                let meaning = flag.meaning.replacing("[", with: "(").replacing("]", with: ")").replacing(
                    ":", with: "\\:")
                let value = flag.takesFile ? ":file:_files" : flag.takesValue ? ":value:" : ""
                script += "            \(quoted("\(flag.name)[\(meaning)]\(value)")) \\\n"
            }
            let rest =
                command.name == "help"
                ? ":command:(\(commands.map(\.name).joined(separator: " ")) settings)"
                : command.takesFile ? "*:file:_files" : "*: :"
            script += "            '--help[say more]' \\\n            \(quoted(rest))\n        ;;\n"
        }
        return script + "    esac\n}\n\n_converge \"$@\"\n"
    }

    private static func fish(_ commands: [Command]) -> String {
        var script = "# fish completion for converge\ncomplete -c converge -f\n"
        for command in commands {
            script += "complete -c converge -n __fish_use_subcommand -a \(command.name) -d \(quoted(command.meaning))\n"
        }
        for command in commands {
            let here = "complete -c converge -n '__fish_seen_subcommand_from \(command.name)'"
            for flag in command.flags {
                let value = flag.takesFile ? " -r -F" : flag.takesValue ? " -x" : ""
                script += "\(here) -l \(flag.name.dropFirst(2))\(value) -d \(quoted(flag.meaning))\n"
            }
            if command.takesFile { script += "\(here) -F\n" }
            if command.name == "help" {
                script += "\(here) -a \(quoted(commands.map(\.name).joined(separator: " ") + " settings"))\n"
            }
        }
        return script
    }

    /// One word of any of the three shells. Fish knows no `'\''` inside of quotes, but takes quoted pieces side by side, too.
    private static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "'\\''") + "'" }
}

import ConvergeNode

/// `converge help`: the help texts as they are, as manual pages, and as what shells complete.
enum Help {
    static func run(_ words: [String]) -> Int32 {
        do throws(Arguments.Mistake) {
            let flags = [Arguments.Flag("man", isSwitch: true), Arguments.Flag("completions")]
            let arguments = try Arguments(words, flags: flags)
            return run(arguments)
        } catch {
            return Console.misused(error.message)
        }
    }

    private static func run(_ arguments: Arguments) -> Int32 {
        if let shell = arguments.values["completions"] {
            guard let completions = Completions(rawValue: shell), arguments.positional.isEmpty,
                arguments.values.count == 1
            else { return Console.misused("--completions takes one of bash, zsh and fish, and nothing beside it") }
            Console.say(completions.script)
            return 0
        }
        guard arguments.positional.count < 2 else { return Console.misused("help takes one command") }
        let isManual = arguments.values["man"] != nil
        guard let word = arguments.positional.first else {
            Console.say(isManual ? ManualPage(of: nil).roff : Usage.overview)
            return 0
        }
        if word == "settings", !isManual {
            Console.say(Settings.markdown)
            return 0
        }
        guard let command = Subcommand(rawValue: word) else {
            let nearest = Spelling.nearest(to: word, among: Subcommand.allCases.map(\.rawValue))
            let hint = nearest.map { ": did you mean \($0)?" } ?? ""
            return Console.misused("there is no command \"\(Console.escaped(word))\"\(hint)")
        }
        Console.say(isManual ? ManualPage(of: command).roff : Usage.text(of: command))
        return 0
    }
}

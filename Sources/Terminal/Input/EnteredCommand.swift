/// What was entered on the full screen, or is a line of input: a message, or a command after a slash. `//text` is a message
/// that begins with a slash.
enum EnteredCommand: Hashable, Sendable {
    case nothing
    case message(String)
    case join(String)
    case leave
    case reconnect
    case rooms
    case users
    /// At most `historyLimit`; nil: as many as suit.
    case history(Int?)
    case documents
    case document(DocumentRequest)
    case status
    case help
    case quit
    case mistake(String)

    /// The most that `/history` gives.
    static let historyLimit = 20_000

    /// The commands with what they take and do, in the order of the help.
    static let list: [(name: String, arguments: String, meaning: String)] = [
        ("join", "ROOM", "follow a room, or go to it; \"two words\" in quotes"),
        ("leave", "", "follow this room no more"),
        ("reconnect", "", "connect now, with a fresh token where the last was refused"),
        ("rooms", "", "which rooms there are"),
        ("users", "", "who is in this room"),
        ("history", "[N]", "N older messages, as many as 20,000"),
        ("doc", "[NAME [add|remove|set|clear|put|drop|+N|-N …]]", "shared documents: /doc tags add alpha"),
        ("status", "", "the connections"),
        ("help", "", "this"),
        ("quit", "", "leave"),
    ]

    init(_ entered: String) {
        // Nothing to say but blanks.
        guard entered.contains(where: { !$0.isWhitespace }) else {
            self = .nothing
            return
        }
        guard entered.hasPrefix("/"), !entered.hasPrefix("//") else {
            self = .message(entered.hasPrefix("//") ? String(entered.dropFirst()) : entered)
            return
        }
        var rest = entered.dropFirst()
        let name = Self.word(&rest).lowercased()
        self = Self.command(name, Self.trimmed(rest))
    }

    private static func command(_ name: String, _ argument: String) -> EnteredCommand {
        switch name {
        case "join", "j": entering(argument)
        case "leave", "part": argument.isEmpty ? .leave : .mistake("/leave takes nothing")
        case "reconnect": argument.isEmpty ? .reconnect : .mistake("/reconnect takes nothing")
        case "rooms": argument.isEmpty ? .rooms : .mistake("/rooms takes nothing")
        case "users", "who": argument.isEmpty ? .users : .mistake("/users takes nothing")
        case "history": history(argument)
        case "doc", "docs": document(argument)
        case "status": argument.isEmpty ? .status : .mistake("/status takes nothing")
        case "help", "h", "?": .help
        case "quit", "q", "exit": .quit
        default: .mistake("there is no command /\(name): /help shows them")
        }
    }

    /// A room's name may have blanks in it, but who enters one has mostly entered something else too much.
    private static func entering(_ argument: String) -> EnteredCommand {
        if argument.count > 2, argument.hasPrefix("\""), argument.hasSuffix("\"") {
            let name = trimmed(argument.dropFirst().dropLast())
            return name.isEmpty ? .mistake("/join needs a room: /join ROOM") : .join(name)
        }
        guard !argument.isEmpty else { return .mistake("/join needs a room: /join ROOM") }
        guard !argument.contains(where: \.isWhitespace) else {
            return .mistake("/join takes one room: a name with blanks stands in quotes, /join \"\(argument)\"")
        }
        return .join(argument)
    }

    private static func history(_ argument: String) -> EnteredCommand {
        if argument.isEmpty { return .history(nil) }
        guard let count = Int(argument), count > 0, !argument.hasPrefix("+") else {
            return .mistake("/history takes a number of messages: /history 50")
        }
        guard count <= historyLimit else { return .mistake("/history gives at most \(historyLimit) messages") }
        return .history(count)
    }

    private static func document(_ argument: String) -> EnteredCommand {
        guard !argument.isEmpty else { return .documents }
        var rest = Substring(argument)
        let name = word(&rest)
        let verb = word(&rest)
        let value = trimmed(rest)
        switch verb.lowercased() {
        case "": return .document(.init(name: name, action: .show))
        case "add" where !value.isEmpty: return .document(.init(name: name, action: .add(value)))
        case "remove" where !value.isEmpty, "rm" where !value.isEmpty:
            return .document(.init(name: name, action: .remove(value)))
        case "set" where !value.isEmpty: return .document(.init(name: name, action: .set(value)))
        case "clear" where value.isEmpty: return .document(.init(name: name, action: .clear))
        case "put":
            var rest = Substring(value)
            let field = word(&rest)
            let text = trimmed(rest)
            guard !field.isEmpty, !text.isEmpty else { return .mistake("/doc \(name) put FIELD VALUE") }
            return .document(.init(name: name, action: .put(field: field, text)))
        case "drop":
            var rest = Substring(value)
            let field = word(&rest)
            guard !field.isEmpty, trimmed(rest).isEmpty else { return .mistake("/doc \(name) drop FIELD") }
            return .document(.init(name: name, action: .drop(field: field)))
        case _ where verb.hasPrefix("+") || verb.hasPrefix("-"):
            guard value.isEmpty, let amount = Int(verb), amount.magnitude <= 1 << 53 else {
                return .mistake("a counter takes a whole number: /doc \(name) +1")
            }
            return .document(.init(name: name, action: .count(amount)))
        default:
            return .mistake("/doc NAME, then add, remove, set, clear, put, drop, or +N: /doc tags add alpha")
        }
    }

    /// The first word, or what is in quotes.
    private static func word(_ rest: inout Substring) -> String {
        rest = rest.drop(while: \.isWhitespace)
        if rest.first == "\"", let end = rest.dropFirst().firstIndex(of: "\""), end > rest.index(after: rest.startIndex)
        {
            let quoted = rest[rest.index(after: rest.startIndex)..<end]
            rest = rest[rest.index(after: end)...]
            return String(quoted)
        }
        let word = rest.prefix { !$0.isWhitespace }
        rest = rest[word.endIndex...]
        return String(word)
    }

    static func trimmed(_ text: Substring) -> String {
        var text = text.drop(while: \.isWhitespace)
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}

/// Something that is wanted of a document.
struct DocumentRequest: Hashable, Sendable {
    enum Action: Hashable, Sendable {
        case show
        /// Of a set.
        case add(String), remove(String)
        /// Of a register.
        case set(String), clear
        /// Of a counter.
        case count(Int)
        /// Of a map.
        case put(field: String, String), drop(field: String)
    }

    var name: String
    var action: Action
}

/// What a person typed: a message, or a command after a slash. `//text` is a message that begins with a slash.
public enum LineInput: Hashable, Sendable {
    case nothing
    case message(String)
    case join(String)
    case rooms
    case users
    case history(Int?)
    case help
    case quit
    case mistake(String)

    public init(_ line: String) {
        let blank = line.allSatisfy(\.isWhitespace)
        if blank {
            self = .nothing
        } else if line.hasPrefix("//") {
            self = .message(String(line.dropFirst()))
        } else if line.hasPrefix("/") {
            let words = line.dropFirst().split(maxSplits: 1, whereSeparator: \.isWhitespace)
            let name = words.first.map { $0.lowercased() } ?? ""
            // A room's name may have blanks inside.
            let rest = words.count > 1 ? words[1].split(whereSeparator: \.isWhitespace) : []
            let argument = words.count > 1 ? Self.trimmed(words[1]) : ""
            self = Self.command(name, argument, words: rest.count)
        } else {
            self = .message(line)
        }
    }

    private static func command(_ name: String, _ argument: String, words: Int) -> LineInput {
        switch name {
        case "join", "j": argument.isEmpty ? .mistake("/join needs a room: /join ROOM") : .join(argument)
        case "rooms": words == 0 ? .rooms : .mistake("/rooms takes nothing")
        case "users", "who": words == 0 ? .users : .mistake("/users takes nothing")
        case "history":
            if argument.isEmpty {
                .history(nil)
            } else if let count = Int(argument), count > 0, !argument.hasPrefix("+") {
                .history(count)
            } else {
                .mistake("/history takes a number of messages: /history 20")
            }
        case "help", "h", "?": .help
        case "quit", "q", "exit": .quit
        default: .mistake("there is no command /\(name): /help shows them")
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        let start = text.drop(while: \.isWhitespace)
        return String(start.reversed().drop(while: \.isWhitespace).reversed())
    }

    static let commandList = [
        "a line is sent to the room; lines that begin with / are commands:",
        "/join ROOM     go to another room",
        "/rooms         which rooms there are",
        "/users         who is in this room",
        "/history [N]   the last messages of this room",
        "/quit          leave (or end of input: Ctrl-D)",
        "//text         a message that begins with a slash",
    ]
}

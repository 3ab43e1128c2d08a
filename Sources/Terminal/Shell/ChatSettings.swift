import ConvergeClient

/// What `converge chat` is told by its file, `~/.config/converge`: lines of `name = value`; `#` begins a comment.
public struct ChatSettings: Sendable {
    /// A line that can't be used.
    public struct Problem: Error, Hashable, Sendable {
        public let line: Int
        public let text: String

        /// `FILE:3: …`.
        public func message(in file: String) -> String { "\(file):\(line): \(text)" }
    }

    /// The servers of one cluster, in the order in which they are tried.
    public var servers: [ServerURL] = []
    public var rooms: [String] = []
    public var tokenCommand: String?
    public var authorityFile: String?
    /// Where unsent messages outlive the program.
    public var outboxFile: String?
    public var hasColours = true
    public var hasMouse = true
    var screen = ScreenSettings()

    public var isASCII: Bool {
        get { screen.isASCII }
        set { screen.isASCII = newValue }
    }

    public init() {}

    /// The names that a file may have, with what they take.
    static let names: [(name: String, value: String)] = [
        ("server", "ws://host:port or wss://host:port; may stand several times, for the nodes of one cluster"),
        ("room", "a room to follow; may stand several times"),
        ("token-command", "a command that prints the token"),
        ("ca", "a file of certificates (PEM) that may vouch for a server of wss://"),
        ("outbox", "a file in which unsent messages wait when the program ends"),
        ("colours", "on, off"), ("ascii", "on, off"), ("mouse", "on, off"), ("links", "on, off"),
        ("members", "on, off, auto"), ("bell", "off, mentions, all"),
    ]

    /// - Parameter home: what `~/` at the beginning of a path means.
    public init(file text: String, home: String?) throws(Problem) {
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let content = Self.trimmed(line)
            guard !content.isEmpty, !content.hasPrefix("#") else { continue }
            do throws(Mistake) {
                try read(content, home)
            } catch {
                throw Problem(line: index + 1, text: error.text)
            }
        }
    }

    private struct Mistake: Error { let text: String }

    private mutating func read(_ line: Substring, _ home: String?) throws(Mistake) {
        guard let equals = line.firstIndex(of: "=") else {
            throw Mistake(text: "\"\(line.prefix(40))\" is not of the form name = value")
        }
        let name = Self.trimmed(line[..<equals]).lowercased()
        let value = String(Self.trimmed(line[line.index(after: equals)...]))
        guard !value.isEmpty else { throw Mistake(text: "\(name) has no value") }
        switch name {
        case "server":
            do throws(ServerURL.Problem) { servers.append(try ServerURL(value)) } catch {
                throw Mistake(text: "\"\(value)\" \(error.message)")
            }
        case "room": rooms.append(value)
        case "token-command": tokenCommand = value
        case "token":
            throw Mistake(text: "a token does not stand in this file: write token-command, or set CONVERGE_TOKEN")
        case "ca": authorityFile = Self.path(value, home)
        case "outbox": outboxFile = Self.path(value, home)
        case "colours", "colors": hasColours = try Self.isOn(name, value)
        case "ascii": screen.isASCII = try Self.isOn(name, value)
        case "mouse": hasMouse = try Self.isOn(name, value)
        case "links": screen.hasLinks = try Self.isOn(name, value)
        case "members": screen.showsMembers = value == "auto" ? nil : try Self.isOn(name, value)
        case "bell":
            guard let bell = ScreenSettings.Bell(rawValue: value.lowercased()) else {
                throw Mistake(text: "bell = \(value): must be off, mentions or all")
            }
            screen.bell = bell
        default:
            throw Mistake(
                text: "there is no setting \"\(name)\"; there are \(Self.names.map(\.name).joined(separator: ", "))")
        }
    }

    private static func isOn(_ name: String, _ value: String) throws(Mistake) -> Bool {
        switch value.lowercased() {
        case "on", "yes", "true": return true
        case "off", "no", "false": return false
        default: throw Mistake(text: "\(name) = \(value): must be on or off")
        }
    }

    private static func path(_ text: String, _ home: String?) -> String {
        guard text.hasPrefix("~/"), let home else { return text }
        return home + text.dropFirst()
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop(while: \.isWhitespace)
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

import ConvergeNode
import ConvergeTransport
import ConvergeWire

/// What `converge` can do, by the first word.
enum Subcommand: String, CaseIterable {
    case serve, chat, token, secret, status, health, backup, redate, version, help

    static func run(_ words: [String]) -> Int32 {
        guard let first = words.first else {
            Console.complain(Usage.overview)
            return 2
        }
        let rest = Array(words.dropFirst())
        switch first {
        case "--help", "-h": return Help.run(rest)
        case "--version", "-v": return version(rest)
        default: break
        }
        guard let command = Subcommand(rawValue: first) else {
            let nearest = Spelling.nearest(to: first, among: allCases.map(\.rawValue))
            let hint = nearest.map { "did you mean \($0)?" } ?? "converge help shows the commands"
            return Console.misused("there is no command \"\(Console.escaped(first))\": \(hint)")
        }
        if command != .help, rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
            Console.say(Usage.text(of: command))
            return 0
        }
        return switch command {
        case .serve: Serve.run(rest)
        case .chat: Chat.run(rest)
        case .token: IssueToken.run(rest)
        case .secret: secret(rest)
        case .status: ShowStatus.run(rest)
        case .health: AskHealth.run(rest)
        case .backup: BackUp.run(rest)
        case .redate: Redate.run(rest)
        case .version: version(rest)
        case .help: Help.run(rest)
        }
    }

    /// 32 random bytes in base64url: 43 characters that need no quoting anywhere.
    private static func secret(_ rest: [String]) -> Int32 {
        guard rest.isEmpty else { return Console.misused("secret takes nothing") }
        var text = ByteBuffer()
        SecureRandom.bytes(32).withUnsafeBytes { Base64URL.append($0, to: &text) }
        Console.say(String(decoding: text.bytes, as: UTF8.self) + "\n")
        return 0
    }

    private static func version(_ rest: [String]) -> Int32 {
        guard rest.isEmpty else { return Console.misused("version takes nothing") }
        Console.say("converge \(ConvergeVersion.current)\n")
        return 0
    }
}

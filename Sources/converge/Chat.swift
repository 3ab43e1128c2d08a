import ConvergeClient
import ConvergeNode
import ConvergeTerminal
import Glibc

/// `converge chat`: the full screen on a terminal, lines elsewhere; with its flags, its file and the environment.
enum Chat {
    private static let flags: [Arguments.Flag] = [
        .init("server"), .init("room"), .init("token"), .init("ca"), .init("config"),
        .init("no-color", isSwitch: true), .init("ascii", isSwitch: true), .init("lines", isSwitch: true),
        .init("json", isSwitch: true),
    ]

    static func run(_ words: [String]) -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Mistake) {
            arguments = try Arguments(words, flags: flags)
        } catch {
            return Console.misused(error.message)
        }
        guard arguments.positional.isEmpty else {
            let word = Console.escaped(arguments.positional[0])
            return Console.misused("chat takes flags only, not \"\(word)\": converge help chat")
        }
        for (descriptor, name) in [(Int32(0), "input"), (1, "output")]
        where StandardDescriptors.closedAtStart.contains(descriptor) {
            return Console.failed("standard \(name) is closed, and chat needs it (/dev/null will do)")
        }
        let environment = Console.environment
        var settings: ChatSettings
        switch read(arguments.values["config"], environment) {
        case .success(let read): settings = read
        case .failure(let mistake): return Console.misused(mistake.text)
        }
        if let address = arguments.values["server"] {
            // Several nodes of one cluster, with commas between them.
            settings.servers = []
            for word in address.split(separator: ",") {
                guard let url = try? ServerURL(String(word)) else {
                    return Console.misused(
                        "\"\(Console.escaped(String(word)))\" \(ServerURL.Problem.unreadable.message)")
                }
                settings.servers.append(url)
            }
        }
        if settings.servers.isEmpty, let own = OwnNode.url { settings.servers = [own] }
        guard !settings.servers.isEmpty else {
            return Console.misused("which node? converge chat --server ws://host:port")
        }
        if let room = arguments.values["room"] { settings.rooms = [room] }
        if let file = arguments.values["ca"] { settings.authorityFile = file }
        if arguments.values["ascii"] != nil { settings.isASCII = true }
        if arguments.values["no-color"] != nil || environment["NO_COLOR"]?.isEmpty == false {
            settings.hasColours = false
        }
        let token = arguments.values["token"] ?? environment["CONVERGE_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
        guard token != nil || settings.tokenCommand != nil else {
            return Console.misused(
                "chat needs a token: set CONVERGE_TOKEN (converge token makes one), or write token-command into its file"
            )
        }
        let isJSON = arguments.values["json"] != nil
        let hasTerminal = isatty(0) == 1 && isatty(1) == 1 && environment["TERM"] != "dumb"
        guard hasTerminal, arguments.values["lines"] == nil, !isJSON else {
            return lines(settings, token, isJSON: isJSON, isDumb: environment["TERM"] == "dumb")
        }
        var options = ScreenClient.Options()
        options.settings = settings
        options.token = token
        return ScreenClient.run(options)
    }

    private static func lines(_ settings: ChatSettings, _ token: String?, isJSON: Bool, isDumb: Bool) -> Int32 {
        var options = LineClient.Options(
            servers: settings.servers, room: settings.rooms.first ?? "lobby", token: token)
        options.tokenCommand = settings.tokenCommand
        options.authorityFile = settings.authorityFile
        options.isPlain = !settings.hasColours || isDumb
        options.isJSON = isJSON
        return LineClient.run(options, interruptions: AwaitedSignals.interruptions)
    }

    // MARK: The file

    private struct Mistake: Error { let text: String }

    /// - Parameter named: the file that was asked for: it must be there. The usual one need not.
    private static func read(_ named: String?, _ environment: [String: String]) -> Result<ChatSettings, Mistake> {
        let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 }
        let folder =
            environment["XDG_CONFIG_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? home.map { $0 + "/.config" }
        guard let file = named ?? folder.map({ $0 + "/converge" }) else { return .success(ChatSettings()) }
        let shown = Console.escaped(file)
        var content: [UInt8] = []
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if named == nil, errno == ENOENT || errno == ENOTDIR { return .success(ChatSettings()) }
            return .failure(Mistake(text: "\(shown): \(String(cString: strerror(errno)))"))
        }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while content.count < 1 << 20 {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 { return .failure(Mistake(text: "\(shown): \(String(cString: strerror(errno)))")) }
            if count == 0 { break }
            content += buffer[..<count]
        }
        do throws(ChatSettings.Problem) {
            return .success(try ChatSettings(file: String(decoding: content, as: UTF8.self), home: home))
        } catch {
            return .failure(Mistake(text: Console.escaped(error.message(in: file))))
        }
    }
}

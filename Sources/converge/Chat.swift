import ConvergeClient
import ConvergeNode

/// `converge chat`: the line client with its flags.
enum Chat {
    static func run(_ words: [String]) -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Mistake) {
            arguments = try Arguments(
                words,
                flags: [.init("server"), .init("room"), .init("token"), .init("ca"), .init("no-color", isSwitch: true)])
        } catch {
            return Console.misused(error.message)
        }
        guard arguments.positional.isEmpty else {
            let word = Console.escaped(arguments.positional[0])
            return Console.misused("chat takes flags only, not \"\(word)\": converge help chat")
        }
        let environment = Console.environment
        let address = arguments.values["server"] ?? "ws://127.0.0.1:8080"
        let server: ServerURL
        do throws(ServerURL.Problem) {
            server = try ServerURL(address)
        } catch {
            let shown = Console.escaped(address)
            return Console.misused("\"\(shown)\" \(error.message)")
        }
        guard let token = arguments.values["token"] ?? environment["CONVERGE_TOKEN"], !token.isEmpty else {
            return Console.misused("chat needs a token: set CONVERGE_TOKEN (converge token makes one)")
        }
        var options = LineClient.Options(server: server, room: arguments.values["room"] ?? "lobby", token: token)
        options.authorityFile = arguments.values["ca"]
        options.isPlain =
            arguments.values["no-color"] != nil || environment["NO_COLOR"]?.isEmpty == false
            || environment["TERM"] == "dumb"
        // Only once the connection stands: until then an interruption may simply end the program.
        return LineClient.run(options) { $0.interruptions = TerminationSignals.descriptor() }
    }
}

import ConvergeClient
import ConvergeNode

/// `converge health`: whether the node on this machine answers, as the exit status.
enum AskHealth {
    static func run(_ words: [String]) -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Mistake) {
            arguments = try Arguments(words, flags: [.init("ready", isSwitch: true)])
        } catch {
            return Console.misused(error.message)
        }
        guard arguments.positional.isEmpty else {
            return Console.misused("health takes no address: it asks this machine's node")
        }
        guard let url = OwnNode.url else {
            return Console.misused("which node? the settings that are set here name none: converge serve --check")
        }
        let target = arguments.values["ready"] == nil ? "/health" : "/ready"
        do throws(HTTPGet.Failure) {
            let answer = try HTTPGet.run(
                url, target: target, verifies: false, timeout: .seconds(3), limit: 65_536)
            let body = Console.escaped(String(decoding: answer.body, as: UTF8.self).filter { $0 != "\n" })
            guard answer.status == .ok else {
                return Console.failed("\(url.authority)\(target) answers \(answer.status.rawValue): \(body)")
            }
            Console.say(body + "\n")
            return 0
        } catch {
            return Console.failed("\(url.authority): \(error.message)")
        }
    }
}

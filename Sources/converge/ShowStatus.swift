import ConvergeClient
import ConvergeNode
import ConvergeTransport
import Glibc

/// `converge status [URL…]`: asks nodes how they are, and says whether they are one whole cluster.
enum ShowStatus {
    private static let flags: [Arguments.Flag] = [
        .init("watch", isSwitch: true), .init("json", isSwitch: true), .init("interval"), .init("ca"),
    ]
    /// How long a node has for its answer.
    private static let timeout = Duration.seconds(3)
    /// How often nodes are asked whose documents can't be compared, because something is being written, or differ: what
    /// was being stored then may have failed, and other entries have its places now. What is wrong stays so.
    private static let tries = 4

    static func run(_ words: [String]) -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Mistake) {
            arguments = try Arguments(words, flags: flags)
        } catch {
            return Console.misused(error.message)
        }
        var urls: [ServerURL] = []
        for text in arguments.positional {
            let shown = Console.escaped(text)
            guard let url = try? ServerURL(text), ["/ws", "/cluster"].contains(url.target) else {
                return Console.misused(
                    "\"\(shown)\" is not a node's address: write http://host:port or https://host:port")
            }
            urls.append(url)
        }
        if urls.isEmpty {
            guard let url = OwnNode.url else {
                return Console.misused("which node? converge status http://host:port")
            }
            urls = [url]
        }
        let interval = arguments.values["interval"] ?? "2s"
        guard let pause = DurationText.parse(interval), pause >= .milliseconds(100), pause <= .seconds(86_400) else {
            return Console.misused("--interval=\"\(Console.escaped(interval))\": must be a duration from 100ms to 24h")
        }
        if arguments.values["interval"] != nil, arguments.values["watch"] == nil {
            return Console.misused("--interval goes with --watch")
        }
        let isJSON = arguments.values["json"] != nil
        let authorityFile = arguments.values["ca"]
        guard arguments.values["watch"] == nil else { watch(urls, authorityFile, every: pause, isJSON: isJSON) }
        var (answers, verdict) = ask(urls, authorityFile)
        var tries = 1
        while isWorthAnotherLook(verdict), tries < Self.tries {
            usleep(600_000)
            (answers, verdict) = ask(urls, authorityFile)
            tries += 1
        }
        Console.say(isJSON ? StatusJSON.text(answers, verdict) : StatusText.page(answers, verdict))
        return verdict.isWhole ? 0 : 1
    }

    private static func isWorthAnotherLook(_ verdict: ClusterVerdict) -> Bool {
        verdict.documents == .different || verdict.documents == .moving && verdict.isWhole
    }

    private static func ask(_ urls: [ServerURL], _ authorityFile: String?) -> ([NodeAnswer], ClusterVerdict) {
        let answers = ClusterProbe.ask(urls, authorityFile: authorityFile, timeout: timeout)
        return (answers, ClusterVerdict(answers))
    }

    /// Until an interruption ends the process, or nobody reads any more. On a terminal each page takes the place of the last.
    private static func watch(
        _ urls: [ServerURL], _ authorityFile: String?, every pause: Duration, isJSON: Bool
    ) -> Never {
        let clears = isatty(1) == 1 && !isJSON
        while Console.isHeard {
            let (answers, verdict) = ask(urls, authorityFile)
            let page = isJSON ? StatusJSON.text(answers, verdict) : StatusText.page(answers, verdict)
            Console.say(clears ? "\u{1B}[H\u{1B}[2J" + page : isJSON ? page : page + "\n")
            var rest = timespec(
                tv_sec: Int(pause.milliseconds / 1_000), tv_nsec: Int(pause.milliseconds % 1_000) * 1_000_000)
            nanosleep(&rest, nil)
        }
        exit(Console.end(with: 1))
    }
}

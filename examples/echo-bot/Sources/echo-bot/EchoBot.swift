// A bot that answers what is said to it: "echo: hello" is answered with "hello". It follows its room over any number of
// reconnects, answers what was said while it was away, and keeps unsent answers in a file. Ctrl-C ends it.
//
//   CONVERGE_TOKEN=… echo-bot ROOM ws://a:8080 ws://b:8080 …

import ConvergeClient
import Dispatch
import Glibc

@main
struct EchoBot {
    static func main() async throws {
        let words = CommandLine.arguments.dropFirst()
        guard let name = words.first, words.count >= 2, let token = getenv("CONVERGE_TOKEN") else {
            print("usage: CONVERGE_TOKEN=TOKEN echo-bot ROOM ws://HOST:PORT …")
            exit(2)
        }
        var options = ChatClient.Options()
        options.outboxFile = "echo-bot.outbox"
        let urls = try words.dropFirst().map { try ServerURL($0) }
        let client = try ChatClient(urls: urls, token: String(cString: token), options: options)
        let ending = onInterrupt { Task { await client.close() } }
        defer { ending.cancel() }

        let events = client.events
        let room = try client.join(name)
        for await event in events {
            switch event.event {
            case .message(let line, _):
                guard line.body.hasPrefix("echo: ") else { continue }
                try room.send(String(line.body.dropFirst(6)))
            case .resumed(recovered: false, _, _): print("something may be missing here")
            case .connection(.live(let url, nil, let userID, _)): print("here as \(userID), by \(url.authority)")
            case .connection(.waiting(_, let reason)): print("waiting: \(reason)")
            case .connection(.ended(let reason)): print("over: \(reason.message)")
            default: break
            }
            fflush(nil)
            if case .connection(.ended) = event.event { break }
        }
    }

    /// Calls `body` on Ctrl-C, as long as what is returned is kept.
    static func onInterrupt(_ body: @escaping @Sendable () -> Void) -> any DispatchSourceSignal {
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler(handler: body)
        source.resume()
        return source
    }
}

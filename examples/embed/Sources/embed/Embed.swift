// A Converge node inside a program of your own: open a store, start a node with a log and tokens of your own, look at its
// figures, stop it on Enter or SIGTERM.

import ConvergeNode
import ConvergeStorage
import Dispatch
import FoundationEssentials
import Glibc

@main
struct Embed {
    static func main() throws {
        let secret = Secret("the secret that your tokens are signed with")
        var options = ServerOptions(host: "127.0.0.1", port: 0, jwtSecret: secret)
        options.nodeName = "embedded"
        options.logLevel = .warn
        options.log = { record in print(record.date, record.level, record.event, record.fields.map(\.name)) }

        let server = ConvergeServer(store: SQLiteStore(path: "embedded.db"), options: options)
        try server.start()
        let token = TokenIssuer(secret: secret).token(user: "ann", lifetime: .seconds(3_600))
        print("ws://127.0.0.1:\(server.port!)/ws?token=\(token) · Enter stops the node")
        fflush(nil)

        waitForEnterOrTermination()
        print("messages:", Int(server.metricsSnapshot()?["messages_total"] ?? 0))
        server.stop()
    }

    static func waitForEnterOrTermination() {
        let ending = DispatchSemaphore(value: 0)
        signal(SIGTERM, SIG_IGN)
        let termination = DispatchSource.makeSignalSource(signal: SIGTERM, queue: .global())
        termination.setEventHandler { ending.signal() }
        termination.resume()
        DispatchQueue.global().async {
            _ = readLine()
            ending.signal()
        }
        ending.wait()
    }
}

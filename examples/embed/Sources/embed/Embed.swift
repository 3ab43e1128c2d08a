// A Converge node inside a program of your own: open a store, start a node, stop it on Enter or SIGTERM.

import ConvergeNode
import ConvergeStorage
import Dispatch
import Glibc

@main
struct Embed {
    static func main() throws {
        var options = ServerOptions(
            host: "127.0.0.1", port: 0, jwtSecret: Secret("the secret that your tokens are signed with"))
        options.nodeName = "embedded"
        options.logLevel = .warn

        let server = ConvergeServer(store: SQLiteStore(path: "embedded.db"), options: options)
        try server.start()
        print("ws://127.0.0.1:\(server.port!)/ws · Enter stops the node")
        fflush(nil)

        waitForEnterOrTermination()
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

import ConvergeNode
import ConvergeStorage
import ConvergeTransport
import Glibc

/// The life of a node's process: opened, started, stopped by a signal.
extension Serve {
    /// How long a stop may take before the process ends all the same.
    private static let patience: Duration = .seconds(10)

    /// Runs until a signal; gives the exit status if the node couldn't start or didn't stop in time.
    static func serve(_ settings: Settings) -> Int32 {
        // Before any thread is started, so that all of them have the signals blocked.
        let signals = TerminationSignals()
        signal(SIGPIPE, SIG_IGN)

        // Memory goes from thread to thread here; with an arena for each of them, much of it would lie idle in all.
        Allocator.limitArenas(to: 2)
        let server = ConvergeServer(store: store(settings), options: settings.options)
        do throws(ServerError) {
            try server.start()
        } catch {
            return Console.failed(error.message)
        }

        // A hang-up asks a node that has a certificate to read it anew; any other node ends by it.
        while signals.wait() == SIGHUP, settings.options.tls != nil { server.reloadCertificate() }
        do throws(SystemError) {
            // Detached on purpose: the process ends with it, or without it.
            try WorkerThread(name: "stop") {
                server.stop()
                exit(0)
            }.detach()
        } catch {
            return Console.failed("can't stop gracefully: \(error)")
        }
        guard let second = signals.wait(atMost: patience) else {
            lastWords("converge: stopping took longer than 10 s: ended without\n", signals)
            _exit(1)
        }
        _exit(128 + second)
    }

    /// Says it, unless standard error takes nothing: that may be why stopping took so long.
    private static func lastWords(_ text: String, _ signals: TerminationSignals) {
        do throws(SystemError) {
            try WorkerThread(name: "last words") { Console.complain(text) }.detach()
            _ = signals.wait(atMost: .milliseconds(200))
        } catch {
            return
        }
    }

    private static func store(_ settings: Settings) -> any Store {
        let timeout = settings.options.storeTimeout
        switch settings.store {
        case .sqlite(let path, let sync):
            return SQLiteStore(path: path, sync: sync, timeout: timeout)
        case .postgres(let dsn):
            return PostgresStore(dsn: String(decoding: dsn.bytes, as: UTF8.self), timeout: timeout)
        }
    }
}

import ConvergeNode
import ConvergeStorage
import ConvergeTransport
import Glibc

/// The life of a node's process: opened, started, spoken to and stopped by signals.
extension Serve {
    /// How long a stop may take before the process ends all the same.
    private static let patience: Duration = .seconds(10)
    private static let endings = [SIGINT, SIGTERM]
    /// More of them are asked for than any limit of the kernel's allows.
    private static let mostDescriptors = rlim_t(1 << 20)

    /// Runs until a signal; gives the exit status if the node couldn't start or didn't stop in time.
    static func serve(_ settings: Settings) -> Int32 {
        // Before any thread is started, so that all of them have the signals blocked.
        let signals = AwaitedSignals(endings + [SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2])
        let endings = AwaitedSignals(endings)
        signal(SIGPIPE, SIG_IGN)
        raiseDescriptorLimit()

        // Memory goes from thread to thread here; with an arena for each of them, much of it would lie idle in all.
        Allocator.limitArenas(to: 2)
        let server = ConvergeServer(store: store(settings), options: settings.options)
        do throws(ServerError) {
            try server.start()
        } catch {
            return Console.failed(error.message)
        }

        var isAskedToEnd = false
        while !isAskedToEnd {
            switch signals.wait() {
            case SIGHUP: server.reload()
            case SIGQUIT: server.logStatus()
            case SIGUSR1: server.stepLogLevel(up: true)
            case SIGUSR2: server.stepLogLevel(up: false)
            default: isAskedToEnd = true
            }
        }
        do throws(SystemError) {
            // Detached on purpose: the process ends with it, or without it.
            try WorkerThread(name: "stop") {
                server.stop()
                exit(0)
            }.detach()
        } catch {
            return Console.failed("can't stop gracefully: \(error)")
        }
        guard let second = endings.wait(atMost: patience) else {
            lastWords("converge: stopping took longer than 10 s: ended without\n", endings)
            _exit(1)
        }
        _exit(128 + second)
    }

    /// The soft limit exists for programs that wait with select(2), which can't use more than 1,024: this one can.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        let wanted = min(limit.rlim_max, mostDescriptors)
        guard limit.rlim_cur < wanted else { return }
        limit.rlim_cur = wanted
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Says it, unless standard error takes nothing: that may be why stopping took so long.
    private static func lastWords(_ text: String, _ signals: AwaitedSignals) {
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

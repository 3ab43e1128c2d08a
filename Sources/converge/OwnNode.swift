import ConvergeClient
import ConvergeNode

/// The node that `converge serve` would run with this environment, as a client on this machine reaches it.
enum OwnNode {
    /// Nil where the settings are wrong, or the port is chosen by the system.
    static var url: ServerURL? {
        guard let options = (try? Settings(environment: Console.environment))?.options, options.port > 0 else {
            return nil
        }
        let isAny = ["0.0.0.0", "::", ""].contains(options.host)
        let host = isAny ? "127.0.0.1" : options.host.contains(":") ? "[\(options.host)]" : options.host
        return try? ServerURL("\(options.tls == nil ? "http" : "https")://\(host):\(options.port)")
    }
}

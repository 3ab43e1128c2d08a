import CLinux
import Glibc

/// A named thread that runs one function and can be waited for.
public struct WorkerThread: ~Copyable {
    private let thread: pthread_t

    /// - Parameter name: at most 15 bytes, seen in ps, top and perf.
    /// - Parameter body: runs on the new thread; with it the thread ends.
    public init(name: String, body: @escaping @Sendable () -> Void) throws(SystemError) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
                clinux_name_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw SystemError("pthread_create", code: code)
        }
        self.thread = thread
    }

    /// Lets the thread run on its own; its body tells when it ends.
    public consuming func detach() { pthread_detach(thread) }

    /// Waits until the thread has ended. Call it exactly once.
    public consuming func join() { pthread_join(thread, nil) }

    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}

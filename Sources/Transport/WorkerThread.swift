import CLinux
import Glibc

/// Descriptors that only one thread needs.
public enum DescriptorTable {
    /// Gives the calling thread a table of its own, with only these descriptors and the standard ones in it.
    ///
    /// Threads that share a table pay for it with two atomic operations in every call on a descriptor; a loop that sends a
    /// million times a second feels that. What the thread opens from then on is its own, counts against a limit of its own,
    /// and is not seen by others; what others open or close later, it does not see. Where the system refuses, nothing has
    /// changed, and nothing is wrong.
    public static func own(keeping descriptors: [Int32]) -> Bool {
        clinux_own_descriptors(descriptors, Int32(descriptors.count)) == 0
    }
}

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

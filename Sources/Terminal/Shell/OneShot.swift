import ConvergeTransport
import Glibc

/// Lets a thread wait for a task. Where the system gives no descriptor for it, the thread waits its whole time.
final class OneShot: Sendable {
    private let mailbox = try? Mailbox<Void>()

    func signal() { mailbox?.post(()) }

    func wait(milliseconds: Int32) {
        var wait = pollfd(fd: mailbox?.descriptor ?? -1, events: Int16(POLLIN), revents: 0)
        poll(&wait, 1, milliseconds)
    }
}

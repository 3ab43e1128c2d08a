import CLinux
import ConvergeTransport
import Glibc

/// Signals as something to wait for (signalfd): blocked, so that no handler interrupts anything.
///
/// Make it before any other thread, so that all have the signals blocked. One that was ignored at the start stays so; but ^Z
/// is a key here, and what it does is done by SIGTSTP.
struct SignalDescriptor: ~Copyable {
    private let descriptor: Int32
    private let before: sigset_t

    init?(_ numbers: [Int32]) {
        var signals = sigset_t()
        var before = sigset_t()
        sigemptyset(&signals)
        for number in numbers where number == SIGTSTP || !SignalDisposition.isIgnored(number) {
            sigaddset(&signals, number)
        }
        pthread_sigmask(SIG_BLOCK, &signals, &before)
        let opened = signalfd(-1, &signals, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
        guard opened >= 0 else { return nil }
        descriptor = opened
        self.before = before
    }

    deinit { close(descriptor) }

    var raw: Int32 { descriptor }

    /// The signals as they were, for programs that are started from here.
    var original: sigset_t { before }

    /// The next that has come; nil where none has.
    func next() -> Int32? {
        var told = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard read(descriptor, &told, size) == size else { return nil }
        return Int32(told.ssi_signo)
    }

    /// Stops the process as ^Z would, and comes back when it is continued.
    static func stop(wholeGroup: Bool) {
        var only = sigset_t()
        var old = sigset_t()
        sigemptyset(&only)
        sigaddset(&only, SIGTSTP)
        signal(SIGTSTP, SIG_DFL)
        if wholeGroup { kill(0, SIGTSTP) } else { raise(SIGTSTP) }
        // Let through here, the process stops in this call.
        pthread_sigmask(SIG_UNBLOCK, &only, &old)
        pthread_sigmask(SIG_SETMASK, &old, nil)
    }
}

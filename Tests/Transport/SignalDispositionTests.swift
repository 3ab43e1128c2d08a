import ConvergeTransport
import Glibc
import Testing

@Suite("Signal dispositions", .serialized) struct SignalDispositionTests {
    @Test("a signal is ignored as long as it is set to be")
    func ignored() {
        // Nobody sends it here, and by default it does nothing.
        let before = signal(SIGURG, SIG_IGN)
        #expect(SignalDisposition.isIgnored(SIGURG))
        signal(SIGURG, SIG_DFL)
        #expect(!SignalDisposition.isIgnored(SIGURG))
        signal(SIGURG, before)
        #expect(!SignalDisposition.isIgnored(SIGKILL) && !SignalDisposition.isIgnored(-1))
    }
}

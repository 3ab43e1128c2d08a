import Testing

@testable import ConvergeTransport

@Suite("Poller") struct PollerTests {
    @Test("waits for what is ready, however long it may wait, and for nothing no longer than it may")
    func nanoseconds() throws {
        let mailbox = try Mailbox<Int>()
        let poller = try Poller(capacity: 4)
        try poller.add(mailbox.descriptor, .read, tag: 7)
        let nothing = [poller.wait(nanoseconds: 0), poller.wait(nanoseconds: 1), poller.wait(nanoseconds: 1_500_000)]
        #expect(nothing == [0, 0, 0])
        mailbox.post(1)
        let something = [poller.wait(nanoseconds: 0), poller.wait(nanoseconds: .max)]
        #expect(something == [1, 1])
        let event = poller[0]
        #expect(event.tag == 7 && event.readable)
    }
}

import ConvergeTransport
import Glibc
import Testing

/// The mailbox: order, its limit, and a reader that is woken once for a box that fills.
@Suite("Mailbox")
struct MailboxTests {
    /// Whether the reader's poller would wake.
    private func hasRung(_ mailbox: Mailbox<Int>) -> Bool {
        var awaited = pollfd(fd: mailbox.descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&awaited, 1, 0) == 1
    }

    @Test("messages come out in the order they went in")
    func order() throws {
        let mailbox = try Mailbox<Int>(capacity: 10)
        var more = [2, 3]
        #expect(mailbox.post(1))
        mailbox.postAlways(contentsOf: &more)
        mailbox.postAlways(4)
        var taken: [Int] = []
        mailbox.drain(into: &taken)
        #expect(taken == [1, 2, 3, 4])
        #expect(more.isEmpty && mailbox.depth == 0)
    }

    @Test("a full mailbox refuses, and takes again once it is drained")
    func limit() throws {
        let mailbox = try Mailbox<Int>(capacity: 2)
        #expect(mailbox.post(1) && mailbox.post(2))
        #expect(!mailbox.post(3))
        mailbox.postAlways(4)
        #expect(mailbox.depth == 3)
        var taken: [Int] = []
        mailbox.drain(into: &taken)
        #expect(taken == [1, 2, 4])
        #expect(mailbox.post(5))
    }

    @Test("the first message wakes the reader, and draining lets it sleep")
    func waking() throws {
        let mailbox = try Mailbox<Int>(capacity: 10)
        #expect(!hasRung(mailbox))
        #expect(mailbox.post(1))
        #expect(hasRung(mailbox))
        var taken: [Int] = []
        mailbox.drain(into: &taken)
        #expect(!hasRung(mailbox))
        taken.removeAll()
        #expect(mailbox.post(2))
        #expect(hasRung(mailbox))
    }
}

import ConvergeTransport
import Synchronization
import Testing

@Suite("Mailbox") struct MailboxTests {
    @Test("what is posted is drained in order, and once")
    func order() throws {
        let mailbox = try Mailbox<Int>(capacity: 8)
        for number in 1...3 { #expect(mailbox.post(number)) }
        var more = [4, 5]
        mailbox.postAlways(contentsOf: &more)
        mailbox.postAlways(6)
        #expect(more.isEmpty && mailbox.depth == 6)
        var taken: [Int] = []
        mailbox.drain(into: &taken)
        #expect(taken == [1, 2, 3, 4, 5, 6] && mailbox.depth == 0)
        taken = []
        mailbox.drain(into: &taken)
        #expect(taken == [])
    }

    @Test("a full mailbox refuses, but not what must not be refused")
    func capacity() throws {
        let mailbox = try Mailbox<Int>(capacity: 2)
        #expect(mailbox.post(1) && mailbox.post(2) && !mailbox.post(3))
        mailbox.postAlways(4)
        var taken: [Int] = []
        mailbox.drain(into: &taken)
        #expect(taken == [1, 2, 4])
        #expect(mailbox.post(5))
    }

    @Test("its descriptor is readable from the first post to the drain, and when it is rung")
    func rings() throws {
        let mailbox = try Mailbox<Int>(capacity: 8)
        let poller = try Poller(capacity: 4)
        try poller.add(mailbox.descriptor, .read, tag: 9)
        #expect(poller.wait(timeout: 0) == 0)
        mailbox.postAlways(1)
        mailbox.postAlways(2)
        #expect(poller.wait(timeout: 0) == 1 && poller[0].tag == 9 && poller[0].readable)
        var taken: [Int] = []
        mailbox.drain(into: &taken)
        #expect(poller.wait(timeout: 0) == 0)
        var none: [Int] = []
        mailbox.postAlways(contentsOf: &none)
        #expect(poller.wait(timeout: 0) == 0)
        mailbox.ring()
        #expect(poller.wait(timeout: 0) == 1)
    }

    @Test(
        "a reader that sleeps whenever the box is empty misses nothing of several writers, and keeps each one's order")
    func threads() throws {
        let writers = 4
        let each = 5_000
        let mailbox = try Mailbox<(Int, Int)>(capacity: .max)
        let poller = try Poller(capacity: 4)
        try poller.add(mailbox.descriptor, .read, tag: 0)
        for writer in 0..<writers {
            try WorkerThread(name: "writer") {
                var turn: [(Int, Int)] = []
                for number in 0..<each {
                    switch number % 3 {
                    case 0: mailbox.postAlways((writer, number))
                    case 1: _ = mailbox.post((writer, number))
                    default:
                        turn.append((writer, number))
                        mailbox.postAlways(contentsOf: &turn)
                    }
                }
            }.detach()
        }
        var next = [Int](repeating: 0, count: writers)
        var disorder = 0
        var taken: [(Int, Int)] = []
        while next.reduce(0, +) < writers * each {
            guard poller.wait(timeout: 10_000) == 1 else { break }
            mailbox.drain(into: &taken)
            for (writer, number) in taken {
                if number != next[writer] { disorder += 1 }
                next[writer] += 1
            }
            taken.removeAll()
        }
        #expect(next == [Int](repeating: each, count: writers))
        #expect(disorder == 0)
    }
}

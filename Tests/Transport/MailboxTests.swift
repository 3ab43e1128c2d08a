import ConvergeTransport
import Synchronization
import Testing

@Suite("Mailbox") struct MailboxTests {
    @Test("what is posted is drained in order, and once")
    func order() throws {
        let mailbox = try Mailbox<Int>()
        for number in 1...3 { mailbox.post(number) }
        var more = [4, 5]
        mailbox.post(contentsOf: &more)
        mailbox.post(6)
        #expect(more.isEmpty && mailbox.depth == 6)
        var taken: [Int] = []
        mailbox.drain(into: &taken)
        #expect(taken == [1, 2, 3, 4, 5, 6] && mailbox.depth == 0)
        taken = []
        mailbox.drain(into: &taken)
        #expect(taken == [])
    }

    @Test("its descriptor is readable from the first post to the drain")
    func rings() throws {
        let mailbox = try Mailbox<Int>()
        let poller = try Poller(capacity: 4)
        try poller.add(mailbox.descriptor, .read, tag: 9)
        #expect(poller.wait(timeout: 0) == 0)
        mailbox.post(1)
        mailbox.post(2)
        #expect(poller.wait(timeout: 0) == 1 && poller[0].tag == 9 && poller[0].readable)
        var taken: [Int] = []
        mailbox.drain(into: &taken)
        #expect(poller.wait(timeout: 0) == 0)
        var none: [Int] = []
        mailbox.post(contentsOf: &none)
        #expect(poller.wait(timeout: 0) == 0)
    }

    @Test(
        "a reader that sleeps whenever the box is empty misses nothing of several writers, and keeps each one's order")
    func threads() throws {
        let writers = 4
        let each = 5_000
        let mailbox = try Mailbox<(Int, Int)>()
        let poller = try Poller(capacity: 4)
        try poller.add(mailbox.descriptor, .read, tag: 0)
        for writer in 0..<writers {
            try WorkerThread(name: "writer") {
                var turn: [(Int, Int)] = []
                for number in 0..<each {
                    if number % 2 == 0 {
                        mailbox.post((writer, number))
                    } else {
                        turn.append((writer, number))
                        mailbox.post(contentsOf: &turn)
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

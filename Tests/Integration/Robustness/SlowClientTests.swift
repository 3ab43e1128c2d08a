// Clients that don't read: the others don't notice, memory is bounded, and who reads again misses nothing.

import ConvergeNode
import ConvergeStorage
import ConvergeTransport
import Glibc
import Testing

@Suite struct SlowClientTests {
    /// Sends `count` numbered messages of about `size` bytes, at most `ahead` of which are unacknowledged, and reads them.
    static func talk(
        _ client: ChatSocket, _ numbers: Range<Int>, size: Int = 1_500, ahead: Int = 200
    ) throws {
        let filler = String(repeating: "x", count: size)
        var sent = numbers.lowerBound
        for number in numbers {
            while sent < numbers.upperBound, sent < number + ahead {
                try client.send(#"{"body":"\#(sent) \#(filler)","ref":"\#(sent)"}"#)
                sent += 1
            }
            _ = try client.next("ack") { $0.ref == "\(number)" }
        }
    }

    static func number(of frame: Frame) -> Int? { frame.body.split(separator: " ").first.flatMap { Int($0) } }

    @Test func `who does not read for a while gets every message once and in order when it reads again`() throws {
        let folder = try TemporaryFolder()
        try withNode(SQLiteStore(path: folder.path("converge.db"), sync: .normal)) { node in
            let fast = try node.client("fast")
            let other = try node.client("other")
            let slow = try node.client("slow", receiveBuffer: 8 << 10)
            // Far more than the kernel's buffers and the node's own limits hold.
            let count = 6_000
            for base in stride(from: 0, to: count, by: 1_000) {
                try Self.talk(fast, base..<base + 1_000)
                // Nobody else is held up.
                _ = try other.next("message") { Self.number(of: $0) == base + 999 }
            }
            #expect(try node.metric("slow_taken_off_total") >= 1)

            // It reads while more comes.
            var expected = 0
            var wrong: [String] = []
            while expected < count / 2 {
                let frame = try slow.next()
                guard frame.type == "message" else { continue }
                if Self.number(of: frame) != expected { wrong.append("\(expected): \(frame.body.prefix(20))") }
                expected += 1
            }
            try Self.talk(fast, count..<count + 500)
            while expected < count + 500 {
                let frame = try slow.next()
                guard frame.type == "message" else { continue }
                if Self.number(of: frame) != expected { wrong.append("\(expected): \(frame.body.prefix(20))") }
                expected += 1
            }
            #expect(wrong.isEmpty, "\(wrong.count) of \(expected), the first \(wrong.first ?? "")")
            #expect(try node.metric("slow_fed_frames_total") > 1_000)

            // And it is back on the live stream.
            try slow.send(#"{"body":"here again"}"#)
            #expect(try slow.next("message").body == "here again")
            #expect(try slow.framesUntilNow().map(\.text) == [])
        }
    }

    @Test func `what a slow client asks for is answered, and joining another room lets go of the old`() throws {
        try withNode { node in
            let fast = try node.client("fast")
            let slow = try node.client("slow", receiveBuffer: 8 << 10)
            try Self.talk(fast, 0..<4_000)
            #expect(try node.metric("slow_taken_off_total") >= 1)
            try slow.send(#"{"type":"join","room":"quiet","ref":"j"}"#)
            #expect(try slow.ask(#"{"type":"rooms","ref":"r"}"#, ref: "r").list("rooms") == ["lobby", "quiet"])
            try Self.talk(fast, 4_000..<4_100)
            try slow.send(#"{"body":"alone"}"#)
            let own = try slow.next("message") { $0.room == "quiet" }
            #expect(own.body == "alone")
        }
    }

    /// Whole frames without a gap from the first on, then why it ends; gives how many messages there were, and the last.
    @discardableResult
    private func expectClose(
        _ reason: String, of slow: ChatSocket, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> (shown: Int, last: Frame?) {
        var shown = 0
        var wrong = 0
        var last: Frame?
        while true {
            switch try slow.arrival() {
            case .text(let text):
                let frame = try Frame(text)
                guard frame.type == "message" else { continue }
                if Self.number(of: frame) != shown { wrong += 1 }
                shown += 1
                last = frame
            case .close(let code, let told):
                #expect(code == 1013 && told == reason, sourceLocation: sourceLocation)
                #expect(wrong == 0, "\(wrong) of \(shown) out of place", sourceLocation: sourceLocation)
                return (shown, last)
            case .end: throw TestFailure("ended without a close after \(shown)")
            case .ping, .pong: continue
            }
        }
    }

    @Test func `who never drains is closed as too slow, and the room is told`() throws {
        try withNode {
            $0.writeWait = .milliseconds(500)
        } _: { node in
            let fast = try node.client("fast")
            let slow = try node.client("slow", receiveBuffer: 8 << 10)
            var sent = 0
            while try node.metric("slow_closed_total") == 0 {
                // Small steps: when it is closed it has the same time again to read why.
                try Self.talk(fast, sent..<sent + 50)
                sent += 50
                if sent > 100_000 { throw TestFailure("never closed") }
            }
            try expectClose("too slow", of: slow)
            let events = try NodeProcess.history("lobby", by: fast).filter { $0.user == "slow" }
            #expect(events.map(\.body) == ["slow joined", "slow left"])
        }
    }

    @Test func `who is so slow that retention drops what it is owed is told so, and shown nothing beyond the gap`()
        throws
    {
        try withNode {
            $0.retention = .seconds(1)
            $0.writeWait = .seconds(60)
        } _: { node in
            let fast = try node.client("fast")
            let slow = try node.client("slow", receiveBuffer: 8 << 10)
            let count = 4_000
            try Self.talk(fast, 0..<count)
            #expect(try node.metric("slow_taken_off_total") >= 1)
            try node.wait("all that was said is dropped") { try node.metric("pruned_total") >= count }

            let (shown, last) = try expectClose("history is gone", of: slow)
            #expect(shown < count)
            #expect(try node.metric("slow_closed_total") == 1)

            let end = try #require(last)
            let again = try node.client("slow")
            let cursor = "{\"\(try #require(end["node"]))\":\(try #require(end.number("seq")))}"
            try again.send(#"{"type":"resume","cursor":\#(cursor),"ref":"r"}"#)
            #expect(try again.next("resumed").bool("recovered") == false)
        }
    }

    @Test func `a client in a busy room that never reads costs bounded memory`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(
            database: folder.path("converge.db"),
            environment: ["CONVERGE_SQLITE_SYNC": "normal", "CONVERGE_WRITE_WAIT": "1h"])
        let fast = try node.client("fast")
        let slow = try (0..<10).map {
            let client = try node.open(token: Tokens.of("slow\($0)"), receiveBuffer: 8 << 10)
            _ = try client.next("welcome")
            return client
        }
        try Self.talk(fast, 0..<1_000)
        let before = try node.residentBytes()
        // 30 MB for each of ten.
        try Self.talk(fast, 1_000..<20_000)
        let after = try node.residentBytes()
        // Half a MiB each may wait, twice that while a page is on its way.
        #expect(after - before < 40 << 20, "\((after - before) >> 20) MiB more")
        withExtendedLifetime(slow) {}
    }

    /// Floods a node with requests without reading a byte, until it takes no more.
    static func flood(_ client: ChatSocket, _ frame: [UInt8], atMost limit: Int) throws -> Int {
        var chunk: [UInt8] = []
        while chunk.count < 32 << 10 { chunk += frame }
        var total = 0
        var rest = chunk[...]
        var stuckSince = SystemClock.monotonic()
        while total < limit {
            let sent = try client.socket.sendSome(rest)
            total += sent
            rest = rest.dropFirst(sent)
            if rest.isEmpty { rest = chunk[...] }
            if sent > 0 { stuckSince = SystemClock.monotonic() }
            if SystemClock.monotonic() - stuckSince > 500_000_000 { break }
        }
        return total
    }

    @Test(
        "a client that floods requests without reading the replies is not read from, and memory is bounded",
        arguments: [
            #"{"type":"rooms"}"#, #"{"type":"history","limit":200}"#, #"{"body":"x","ref":"r"}"#, "{",
            #"{"type":"crdt_orset_values"}"#,
        ])
    func flood(frame: String) throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(
            database: folder.path("converge.db"),
            environment: ["CONVERGE_SQLITE_SYNC": "normal", "CONVERGE_WRITE_WAIT": "1h"])
        let other = try node.client("other")
        try Self.talk(other, 0..<250)
        for number in 0..<200 {
            let element = String(repeating: "e", count: 1_000)
            _ = try other.ask(#"{"type":"crdt_orset_add","body":"\#(number)\#(element)","ref":"a"}"#, ref: "a")
        }
        let before = try node.residentBytes()
        let flooder = try node.open(token: Tokens.of("flooder"), receiveBuffer: 8 << 10)
        _ = try flooder.next("welcome")
        let taken = try Self.flood(flooder, ChatSocket.frame(frame), atMost: 64 << 20)
        #expect(taken < 64 << 20, "all was taken")
        var most = 0
        for _ in 0..<20 {
            // Each answer shows that the node works; together they take long enough to see what it gathers.
            _ = try other.ask(#"{"type":"users","ref":"u"}"#, ref: "u")
            most = max(most, try node.residentBytes())
        }
        let grown = most - before
        // Replies may wait up to 32 MiB in the core and as many in the loop; a buffer that grows is there twice for a moment.
        #expect(grown < 160 << 20, "\(grown >> 20) MiB more after \(taken >> 10) KiB of requests")
        _ = try other.ask(#"{"body":"alive","key":"k","ref":"x"}"#, ref: "x")
    }

    @Test func `who asks for more than may wait for it finds out why it was closed when it reads at last`() throws {
        try withNode { node in
            let other = try node.client("other")
            for number in 0..<200 {
                let element = String(repeating: "e", count: 1_000)
                _ = try other.ask(#"{"type":"crdt_orset_add","body":"\#(number)\#(element)","ref":"a"}"#, ref: "a")
            }
            let greedy = try node.client("greedy", receiveBuffer: 8 << 10)
            let question = ChatSocket.frame(#"{"type":"crdt_orset_values"}"#)
            let questions = Array([[UInt8]](repeating: question, count: 500).joined())
            var rest = questions[...]
            while try node.metric("slow_closed_total") == 0 {
                rest = rest.dropFirst(try greedy.socket.sendSome(rest))
                if rest.isEmpty { rest = questions[...] }
            }
            #expect(try node.metric("slow_closed_total") == 1)
            try expectClose("too slow", of: greedy)
        }
    }
}

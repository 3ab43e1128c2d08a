import Testing

@testable import ConvergeClient

@Suite("Unsent messages")
struct OutboxTests {
    private func outbox(window: Int = 1, limit: Int = 10) -> Outbox {
        var options = Outbox.Options()
        options.window = window
        options.limit = limit
        return Outbox(options: options, generator: SeededGenerator(seed: 1))
    }

    /// One whose room `a` has a node that has stored something.
    private func proven(window: Int) -> Outbox {
        var outbox = outbox(window: window)
        outbox.add(message("0"))
        _ = sendAll(&outbox)
        outbox.stored("0", in: "a")
        return outbox
    }

    private func message(_ key: String, _ room: String = "a", body: String? = nil) -> UnsentMessage {
        UnsentMessage(key: key, room: room, body: body ?? key)
    }

    private func sendAll(_ outbox: inout Outbox, _ room: String = "a", at now: UInt64 = 1) -> [String] {
        var keys: [String] = []
        while let next = outbox.next(in: room, at: now) { keys.append(next.key) }
        return keys
    }

    @Test func `it takes so many, in all rooms`() {
        var outbox = outbox(limit: 3)
        #expect(outbox.add(message("1")) && outbox.add(message("2", "b")) && outbox.add(message("3")))
        #expect(!outbox.add(message("4", "c")) && outbox.isFull && outbox.rooms == ["a", "b"])
        _ = sendAll(&outbox)
        outbox.stored("1", in: "a")
        #expect(outbox.add(message("4", "c")) == true)
    }

    @Test func `with a window of one nothing overtakes, whatever is refused for now`() {
        var outbox = outbox()
        for key in ["1", "2", "3"] { outbox.add(message(key)) }
        #expect(sendAll(&outbox) == ["1"])
        #expect(outbox.refused("1", ServerError("busy"), in: "a", at: 1) == .again)
        #expect(sendAll(&outbox).isEmpty)
        let retry = outbox.retryTime(in: "a") ?? 0
        #expect(retry > 1 && sendAll(&outbox, at: retry) == ["1"])
        outbox.stored("1", in: "a")
        #expect(sendAll(&outbox, at: retry) == ["2"])
    }

    @Test func `waits grow while a node is busy, and are forgotten when it takes something`() {
        var outbox = outbox()
        outbox.add(message("1"))
        outbox.add(message("2"))
        var waits: [UInt64] = []
        for _ in 0..<12 {
            let now = outbox.retryTime(in: "a") ?? 1
            _ = sendAll(&outbox, at: now)
            _ = outbox.refused("1", ServerError("storage unavailable"), in: "a", at: now)
            waits.append((outbox.retryTime(in: "a") ?? 0) - now)
        }
        #expect(waits[0] <= 100_000_000 && waits[3] >= 400_000_000)
        #expect(waits.allSatisfy { $0 <= 10_000_000_000 } && waits[11] >= 5_000_000_000)
        _ = sendAll(&outbox, at: .max)
        outbox.stored("1", in: "a")
        #expect(sendAll(&outbox, at: 1) == ["2"])
    }

    @Test func `a lost connection sends all of it again, in order`() {
        var outbox = proven(window: 3)
        for key in ["1", "2", "3", "4", "5"] { outbox.add(message(key)) }
        #expect(sendAll(&outbox) == ["1", "2", "3"])
        outbox.stored("1", in: "a")
        #expect(outbox.connectionLost(in: "a").map(\.key) == ["2", "3"])
        #expect(sendAll(&outbox) == ["2"])
        outbox.stored("2", in: "a")
        #expect(sendAll(&outbox) == ["3", "4", "5"])
    }

    @Test func `the window opens when the node has stored one: a node that is starting refuses that one alone`() {
        var outbox = outbox(window: 3)
        for key in ["1", "2", "3"] { outbox.add(message(key)) }
        #expect(sendAll(&outbox) == ["1"])
        #expect(outbox.refused("1", ServerError("storage unavailable"), in: "a", at: 1) == .again)
        let retry = outbox.retryTime(in: "a") ?? 0
        #expect(sendAll(&outbox, at: retry) == ["1"])
        outbox.stored("1", in: "a")
        #expect(sendAll(&outbox, at: retry) == ["2", "3"])
        outbox.stored("2", in: "a")
        outbox.stored("3", in: "a")
        // Also where nothing has waited meanwhile.
        for key in ["4", "5"] { outbox.add(message(key)) }
        #expect(sendAll(&outbox) == ["4", "5"])
        #expect(outbox.connectionLost(in: "a").count == 2)
        #expect(sendAll(&outbox) == ["4"])
    }

    @Test func `what is refused together for now keeps its order, and has failed once`() {
        var outbox = proven(window: 3)
        for key in ["1", "2", "3", "4"] { outbox.add(message(key)) }
        #expect(sendAll(&outbox) == ["1", "2", "3"])
        for key in ["1", "2", "3"] { #expect(outbox.refused(key, ServerError("busy"), in: "a", at: 1) == .again) }
        #expect(outbox.messages(in: "a").map(\.key) == ["1", "2", "3", "4"])
        let retry = outbox.retryTime(in: "a") ?? .max
        #expect(retry <= 1 + 100_000_000)
        #expect(sendAll(&outbox, at: retry) == ["1"])
        outbox.stored("1", in: "a")
        #expect(sendAll(&outbox, at: retry) == ["2", "3", "4"])
    }

    @Test func `a refusal for good takes it out, and the next one goes`() {
        var outbox = outbox()
        outbox.add(message("1"))
        outbox.add(message("2"))
        _ = sendAll(&outbox)
        #expect(outbox.refused("1", ServerError("message too large"), in: "a", at: 1) == .refused("message too large"))
        #expect(sendAll(&outbox) == ["2"] && outbox.count == 1)
    }

    @Test func `answers that nobody waits for change nothing`() {
        var outbox = outbox()
        outbox.add(message("1"))
        outbox.stored("1", in: "a")
        #expect(outbox.refused("1", ServerError("no"), in: "a", at: 1) == .again)
        outbox.stored("9", in: "nowhere")
        #expect(outbox.count == 1 && outbox.tooBig(in: "a") == nil)
    }

    @Test func `of what is in flight the largest is what was too big`() {
        var outbox = proven(window: 3)
        for (key, body) in [("1", "x"), ("2", "xxx"), ("3", "xx")] { outbox.add(message(key, body: body)) }
        _ = sendAll(&outbox)
        #expect(outbox.tooBig(in: "a")?.key == "2")
        #expect(outbox.connectionLost(in: "a").map(\.key) == ["1", "3"])
    }
}

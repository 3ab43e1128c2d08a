import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeClient

@Suite("Ids that were seen")
struct SeenIDsTests {
    @Test func `an id is new once, as long as it is within the window`() {
        var seen = SeenIDs(capacity: 3)
        let ids = (0..<8).map { "0000000000000001000000000000000\($0)" }
        for id in ids { #expect(seen.insert(id) == true) }
        #expect(!seen.insert(ids[4]) && !seen.insert(ids[2]))
        #expect(seen.insert(ids[0]) == true, "it has left the window")
        #expect(!seen.insert(ids[4]) && seen.insert(ids[2]), "each new one takes the oldest's place")
    }

    @Test func `ids of other servers are known by their text, and none is no id`() {
        var seen = SeenIDs()
        #expect(seen.insert("a") && seen.insert("b") && !seen.insert("a"))
        #expect(seen.insert("") && seen.insert(""))
        #expect(seen.insert("0000000000000001000000000000000A") && seen.insert("0000000000000001000000000000000a"))
    }

    private static func line(_ id: MessageID, _ seq: UInt64, of replica: UInt64, at time: UInt64) -> ChatLine {
        let position = Position(
            timestamp: HybridTimestamp(milliseconds: time), dot: Dot(replica: ReplicaID(rawValue: replica), seq: seq))
        func digits(_ word: UInt64) -> String {
            let text = String(word, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return ChatLine(
            id: digits(id.high) + digits(id.low), room: "r", userID: "u", displayName: "U", body: "b",
            position: position)
    }

    @Test func `a line that was moved to another log is the one that was shown at its former place, and no other is`() {
        let place = MessageID(high: 7, low: 3)
        let lost = Self.line(place, 3, of: 7, at: 100)
        let moved = Self.line(place, 1, of: 9, at: 100)
        let kept = Self.line(place, 3, of: 7, at: 200)
        for order in [[lost, kept, moved], [kept, lost, moved], [moved, kept, lost], [kept, moved, lost]] {
            var seen = SeenIDs()
            let new = order.filter { seen.insert($0) }
            #expect(new.count == 2 && new.contains(kept), "\(order.map(\.position))")
            #expect(order.allSatisfy { !seen.insert($0) })
        }
    }

    @Test func `two writes under one key are one line, whenever they were written`() {
        var seen = SeenIDs()
        let id = MessageID(high: 0xFFFF, low: 0xFFFF_0000_0000_0001)
        #expect(seen.insert(Self.line(id, 3, of: 7, at: 100)) && !seen.insert(Self.line(id, 5, of: 8, at: 130)))
    }
}

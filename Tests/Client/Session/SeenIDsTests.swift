import Testing

@testable import ConvergeClient

@Suite("Ids that were seen")
struct SeenIDsTests {
    @Test func `an id is new once, as long as it is within the window`() {
        var seen = SeenIDs(capacity: 3)
        let ids = (0..<5).map { "0000000000000001000000000000000\($0)" }
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
}

import ConvergeCRDT
import Testing

@Suite struct DotMapTests {
    private func dot(_ replica: UInt64, _ seq: UInt64) -> Dot { Dot(replica: ReplicaID(rawValue: replica), seq: seq) }

    @Test("a key is in the map as long as a dot stands for it, and each change says what stood before")
    func standing() {
        var map = DotMap<String>()
        #expect(map.insert("a", dot: dot(1, 1), replacing: []) == DotSet())
        #expect(map.insert("a", dot: dot(2, 1), replacing: []) == DotSet(dot(1, 1)))
        #expect(map.insert("a", dot: dot(1, 2), replacing: [dot(1, 1)]) == DotSet([dot(1, 1), dot(2, 1)]))
        #expect(map.remove("a", observed: [dot(1, 1), dot(1, 2)]) == DotSet([dot(1, 2), dot(2, 1)]))
        #expect(map.contains("a") && map["a"] == DotSet(dot(2, 1)))
        #expect(map.remove("a", observed: [dot(2, 1)]) == DotSet(dot(2, 1)))
        #expect(map.isEmpty && map.remove("a", observed: [dot(2, 1)]).isEmpty)
        #expect(map.update("b", to: DotSet(dot(3, 1))).isEmpty)
        #expect(map.update("b", to: DotSet()) == DotSet(dot(3, 1)))
        #expect(map == DotMap())
    }

    @Test("joining two versions needs each side's context to tell news from what was removed")
    func join() {
        var here = DotMap<String>()
        here.insert("both", dot: dot(1, 1), replacing: [])
        here.insert("removed there", dot: dot(1, 2), replacing: [])
        here.insert("new here", dot: dot(1, 3), replacing: [])
        var there = DotMap<String>()
        there.insert("both", dot: dot(1, 1), replacing: [])
        there.insert("removed here", dot: dot(2, 1), replacing: [])
        there.insert("new there", dot: dot(2, 2), replacing: [])
        here.join(
            there, context: CausalContext(VersionVector([dot(1, 3), dot(2, 1)])),
            otherContext: CausalContext(VersionVector([dot(1, 2), dot(2, 2)])))
        #expect(Set(here.keys) == ["both", "new here", "new there"])
    }
}

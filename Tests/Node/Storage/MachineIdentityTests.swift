import ConvergeCRDT
import Testing

@testable import ConvergeNode

@Suite("The machine's identity")
struct MachineIdentityTests {
    @Test("a fresh replica is the first word drawn that is a name: neither all zeros nor all ones")
    func draws() {
        var words: [UInt64] = [0, .max, 0, 7, 8]
        #expect(MachineIdentity.draw { words.removeFirst() } == ReplicaID(rawValue: 7))
        #expect(words == [8])
    }
}

import ConvergeCRDT
import ConvergeWire
import Testing

@Suite struct PeerFrameCodecTests {
    @Test("what was encoded is read back as it was, of every kind")
    func roundTrip() {
        var wrong: [PeerFrame] = []
        var samples = PeerSamples(seed: 1)
        for round in 0..<3600 {
            let frame = samples.frame(round % PeerSamples.kindCount)
            if PeerFrame.decoded(frame.encoded()) != .success(frame) { wrong.append(frame) }
        }
        #expect(wrong == [], "seed 1")
    }
}

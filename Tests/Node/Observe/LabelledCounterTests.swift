import Testing

@testable import ConvergeNode

@Suite("Labelled counter") struct LabelledCounterTests {
    @Test("known labels are there from the beginning, others when they come, and all are counted")
    func labels() {
        let counter = LabelledCounter(["busy"])
        #expect(counter.current == ["busy": 0])
        counter.add(2, "busy")
        counter.add(1, "odd")
        #expect(counter.current == ["busy": 2, "odd": 1])
    }

    @Test("there is no end of labels, and what is beyond the limit is counted together")
    func bound() {
        let counter = LabelledCounter(["busy"])
        for number in 0..<1_000 { counter.add(1, "label \(number)") }
        #expect(counter.current.count == 65 && counter.current.values.reduce(0, +) == 1_000)
        #expect(counter.current["other"] == 1_000 - 63)
    }
}

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("LogHead") struct LogHeadTests {
    private let replica = ReplicaID(rawValue: 7)

    private func place(_ log: inout LogHead, _ count: Int) -> [Entry] {
        (0..<count).map {
            log.place(.message, room: "r", payload: [UInt8($0)], at: HybridTimestamp(milliseconds: UInt64($0 + 1)))
        }
    }

    @Test("entries follow on from the head, chained by their hashes")
    func places() {
        var first = LogHead(replica: replica, seq: 0, hash: .zero)
        let begun = place(&first, 3)
        #expect(begun.map(\.dot.seq) == [1, 2, 3] && begun.allSatisfy { $0.dot.replica == replica })
        var second = LogHead(replica: replica, seq: 3, hash: begun[2].hash)
        let more = place(&second, 2)
        #expect(more.map(\.dot.seq) == [4, 5])
        #expect(EntryChain().verifies(begun + more, after: .zero))
    }

    @Test("what is not committed is taken back, and the places are given anew")
    func rollBack() {
        var log = LogHead(replica: replica, seq: 0, hash: .zero)
        let stored = place(&log, 2)
        log.commit(stored[1])
        let lost = place(&log, 3)
        #expect(log.committedSeq == 2 && log.seq == 5)
        log.rollBack()
        #expect(log.seq == 2 && log.hash == stored[1].hash)
        let again = log.place(.message, room: "r", payload: [99], at: HybridTimestamp(milliseconds: 9))
        #expect(again.dot == lost[0].dot && again.hash != lost[0].hash)
        #expect(EntryChain().verifies(stored + [again], after: .zero))
    }
}

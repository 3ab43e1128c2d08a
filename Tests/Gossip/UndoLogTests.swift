import ConvergeGossip
import Testing

@Suite struct UndoLogTests {
    @Test("takes back what came after a mark, newest first")
    func takesBack() {
        var log = UndoLog<Int>()
        log.record(1)
        let mark = log.mark
        log.record(2)
        log.record(3)
        #expect(log.takeBack(to: mark) == [3, 2])
        #expect(log.takeBack(to: mark) == [])
        #expect(log.count == 1)
    }

    @Test("forgets what is settled, and only that")
    func settles() {
        var log = UndoLog<Int>()
        log.record(1)
        let mark = log.mark
        log.record(2)
        log.settle(through: mark)
        #expect(log.settled == mark)
        #expect(log.count == 1)
        #expect(log.takeBack(to: log.settled) == [2])
        log.record(3)
        log.settle(through: log.mark)
        log.settle(through: mark)
        #expect(log.settled == log.mark)
        #expect(log.count == 0)
    }

    @Test("a mark of a future that was taken back settles nothing that came instead")
    func staleMark() {
        var log = UndoLog<Int>()
        let start = log.mark
        log.record(1)
        let lost = log.mark
        #expect(log.takeBack(to: start) == [1])
        log.record(2)
        log.settle(through: lost)
        #expect(log.count == 1)
        #expect(log.takeBack(to: log.settled) == [2])
    }
}

import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeTestSupport
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("CommitPipeline") struct CommitPipelineTests {
    @Test("what is open goes as one batch, and the next gathers meanwhile")
    func batches() {
        let line = PipelineUnderTest()
        line.place(2)
        #expect(line.begin().entries.map(\.dot.seq) == [1, 2])
        line.place(3)
        #expect(line.pipeline.isCarrying && line.pipeline.open.batch.entries.count == 3)
        #expect(line.store() == [1, 2])
        #expect(line.pipeline.position[PipelineUnderTest.own] == 2 && line.pipeline.committedEnd?.seq == 2)
        #expect(line.begin().entries.map(\.dot.seq) == [3, 4, 5])
        #expect(line.store() == [3, 4, 5])
        #expect(line.pipeline.flight == .none && !line.pipeline.isCarrying)
    }

    @Test("an idle node begins a batch at once, and the next no sooner than the pace allows")
    func pace() {
        let line = PipelineUnderTest(pace: 1_000)
        line.place(1)
        #expect(line.mayBegin(at: 0) && line.mayBegin(at: 5_000))
        _ = line.begin(at: 5_000)
        line.place(1)
        _ = line.store()
        #expect(!line.mayBegin(at: 5_999) && line.mayBegin(at: 6_000))
        #expect(line.pipeline.nextBegin == 6_000)
        // What only shows that this node lives has no pace, and takes none from others.
        _ = line.pipeline.beginEmpty()
        #expect(line.store() == [] && line.pipeline.nextBegin == 6_000)
        // Nor has a pipeline without one.
        let other = PipelineUnderTest()
        other.place(1)
        _ = other.begin(at: 5_000)
        #expect(other.mayBegin(at: 5_000))
    }

    @Test("of a failed batch, and what stood behind it, the numbers are used again")
    func failed() {
        let line = PipelineUnderTest()
        line.place(2)
        _ = line.begin()
        line.place(2)
        line.fail()
        #expect(line.pipeline.log?.seq == 0 && line.pipeline.open.isEmpty && line.pipeline.flight == .none)
        line.place(1)
        #expect(line.begin().entries.map(\.dot.seq) == [1])
        #expect(line.store() == [1])
    }

    @Test(
        "a batch in doubt is stored or not as the store says: whole, or not at all", arguments: [0, 1, 2] as [UInt64])
    func doubt(stored: UInt64) {
        let line = PipelineUnderTest()
        line.place(2)
        _ = line.begin()
        line.place(1)
        #expect(line.doubt())
        line.pipeline.rollBack()
        #expect(line.pipeline.flight == .inDoubt && line.pipeline.position.isEmpty)
        // What may be stored keeps its numbers.
        #expect(
            line.pipeline.log?.seq == 3 && line.pipeline.carries(line.dot(2)) && !line.pipeline.carries(line.dot(3)))
        let isStored = line.pipeline.decide(by: VersionVector([line.dot(stored)]))
        #expect(isStored == (stored == 2))
        if isStored == true { #expect(line.store() == [1, 2]) } else { line.fail() }
        line.pipeline.rollBack()
        #expect(line.pipeline.log?.seq == (stored == 2 ? 2 : 0) && line.pipeline.flight == .none)
        #expect(line.pipeline.decide(by: VersionVector()) == nil)
    }

    @Test("an empty batch keeps nobody waiting, and is never in doubt")
    func empty() {
        let line = PipelineUnderTest()
        line.place(1)
        #expect(line.pipeline.beginEmpty().entries.isEmpty)
        #expect(!line.pipeline.isCarrying && line.pipeline.flight == .underway && !line.pipeline.open.isEmpty)
        #expect(!line.doubt())
        #expect(line.pipeline.flight == .underway)
    }

    @Test("a word that must not overtake stands behind the last batch there is; in doubt it waits for none")
    func order() {
        let line = PipelineUnderTest()
        #expect(line.say() == .none)
        line.place(1)
        #expect(line.say() == .open)
        _ = line.begin()
        #expect(line.say() == .inFlight)
        line.place(1)
        #expect(line.say() == .open)
        line.pipeline.countWaiting()
        #expect(line.pipeline.commands == 1)
        // What is open is given up with a commit of unknown outcome; what it says of where sessions are is not.
        #expect(line.doubt())
        _ = line.pipeline.takeOpen()
        #expect(line.say() == .none)
        line.pipeline.countWaiting()
        #expect(line.pipeline.commands == 0)
    }

    @Test("a question behind a batch that is given up is asked again, once, and knows of the doubt")
    func reads() {
        let documents = Documents()
        let line = PipelineUnderTest()
        line.place(1)
        line.ask()
        _ = line.begin()
        line.ask()
        #expect(line.pipeline.takeInterrupted(documents).isEmpty && line.pipeline.beforeDoubt == nil)
        #expect(line.doubt())
        #expect(line.pipeline.takeInterrupted(documents).count == 2)
        #expect(line.pipeline.beforeDoubt != nil)
        #expect(line.pipeline.decide(by: VersionVector()) == false)
        line.fail()
        #expect(line.pipeline.takeInterrupted(documents).isEmpty && line.pipeline.beforeDoubt == nil)
    }

    @Test("what others may have read in a shared store counts as shown, as far as it is on its way")
    func shownEnd() {
        let line = PipelineUnderTest()
        line.place(2)
        _ = line.begin()
        line.place(2)
        #expect(line.pipeline.shownEnd(isShared: false) == line.dot(0))
        #expect(line.pipeline.shownEnd(isShared: true) == line.dot(2))
        _ = line.store()
        #expect(line.pipeline.shownEnd(isShared: true) == line.dot(2))
        let unopened = CommitPipeline()
        let end = unopened.shownEnd(isShared: true)
        #expect(end == nil)
    }

    @Test(
        "whatever happens: stored is a prefix of what was placed, no number twice, and the head is ahead by the two batches"
    )
    func random() {
        var failures: [String] = []
        var met = (stored: 0, failed: 0, doubts: 0)
        for seed in UInt64(0)..<300 where failures.isEmpty {
            var random = SplitMix64(seed: seed)
            let line = PipelineUnderTest()
            var stored: [UInt64] = []
            var foreign: UInt64 = 0
            var foreignStored: UInt64 = 0
            for _ in 0..<80 {
                switch random.below(8) {
                case 0, 1, 2:
                    if line.pipeline.flight != .inDoubt { line.place(1 + random.below(3)) }
                case 3:
                    if line.pipeline.flight != .inDoubt {
                        foreign += 1
                        line.take(PipelineUnderTest.other, foreign)
                    }
                case 4:
                    if line.pipeline.flight == .none, !line.pipeline.open.isEmpty { _ = line.begin() }
                case 5:
                    guard line.pipeline.flight == .underway else { break }
                    stored += line.store()
                    foreignStored = line.pipeline.position[PipelineUnderTest.other]
                    met.stored += 1
                case 6:
                    guard line.pipeline.flight == .underway else { break }
                    line.fail()
                    foreign = foreignStored
                    met.failed += 1
                default:
                    guard line.pipeline.flight == .underway, line.doubt() else { break }
                    _ = line.pipeline.takeOpen()
                    line.pipeline.rollBack()
                    var vector = line.pipeline.position
                    if random.chance(50) {
                        for entry in line.pipeline.inFlight.batch.entries { vector.advance(to: entry.dot) }
                    }
                    if line.pipeline.decide(by: vector) == true { stored += line.store() } else { line.fail() }
                    line.pipeline.rollBack()
                    foreignStored = line.pipeline.position[PipelineUnderTest.other]
                    foreign = foreignStored
                    met.doubts += 1
                }
                let pipeline = line.ahead
                if stored != Array(0..<UInt64(stored.count)).map({ $0 + 1 }) { failures.append("\(seed): \(stored)") }
                if pipeline.head != pipeline.committed + pipeline.waiting { failures.append("\(seed): \(pipeline)") }
                if line.pipeline.position[PipelineUnderTest.own] != pipeline.committed {
                    failures.append("\(seed): the position is \(line.pipeline.position.components)")
                }
            }
        }
        #expect(failures == [])
        #expect(met.stored > 500 && met.failed > 500 && met.doubts > 500, "\(met)")
    }
}

/// A pipeline whose store answers by hand.
private final class PipelineUnderTest {
    static let own = ReplicaID(rawValue: 7)
    static let other = ReplicaID(rawValue: 8)

    enum Place { case open, inFlight, none }

    var pipeline: CommitPipeline
    private var time: UInt64 = 0
    private var moves = FrameBatchBuilder()

    init(pace: UInt64 = 0) {
        pipeline = CommitPipeline(pace: pace)
        pipeline.restart(LogHead(replica: Self.own, seq: 0, hash: .zero))
    }

    func dot(_ seq: UInt64) -> Dot { Dot(replica: Self.own, seq: seq) }

    func place(_ count: Int) {
        for _ in 0..<count {
            time += 1
            _ = pipeline.place(
                .message, 0, "r", [1], at: HybridTimestamp(milliseconds: time), after: VersionVector())
        }
    }

    /// Another node's entry.
    func take(_ replica: ReplicaID, _ seq: UInt64) {
        time += 1
        pipeline.open.batch.entries.append(
            Entry(
                dot: Dot(replica: replica, seq: seq), timestamp: HybridTimestamp(milliseconds: time), kind: .message,
                room: "r", payload: []))
    }

    func begin(at now: UInt64 = 0) -> Batch { pipeline.begin(with: [], at: now) }

    func mayBegin(at now: UInt64) -> Bool { pipeline.mayBegin(at: now) }

    /// - Returns: the numbers of this replica's that are stored now.
    func store() -> [UInt64] {
        let batch = pipeline.stored()
        return batch.batch.entries.filter { $0.dot.replica == Self.own }.map(\.dot.seq)
    }

    func fail() {
        _ = pipeline.takeInFlight()
        _ = pipeline.takeOpen()
        pipeline.rollBack()
    }

    func doubt() -> Bool { pipeline.doubt(moves: &moves) }

    /// Where a word to a session goes that must not overtake anything.
    func say() -> Place {
        let (open, inFlight) = (pipeline.open.rooms.count, pipeline.inFlight.rooms.count)
        let session = SessionID(loop: 0, slot: 1, generation: 1)
        let waits = pipeline.append(for: 0, keeping: 5) { $0.append(to: .leave(session)) }
        if pipeline.open.rooms.count > open { return waits ? .open : .none }
        return pipeline.inFlight.rooms.count > inFlight && waits ? .inFlight : .none
    }

    func ask() {
        let session = SessionID(loop: 0, slot: 1, generation: 1)
        pipeline.keep(DocumentRead(question: .list(room: "r"), session: session, ref: nil))
    }

    /// How far the log's head is, its committed end, and how many of its entries wait.
    var ahead: (head: UInt64, committed: UInt64, waiting: UInt64) {
        var waiting = 0
        for entry in pipeline.open.batch.entries where entry.dot.replica == Self.own { waiting += 1 }
        for entry in pipeline.inFlight.batch.entries where entry.dot.replica == Self.own { waiting += 1 }
        return (pipeline.log?.seq ?? 0, pipeline.committedEnd?.seq ?? 0, UInt64(waiting))
    }
}

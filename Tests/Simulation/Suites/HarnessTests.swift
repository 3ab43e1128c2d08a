import ConvergeTestSupport
import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

/// The harness's own parts.
@Suite("Simulation: its own parts") struct HarnessTests {
    @Test("events come in the order of their time, those of one time as they were scheduled")
    func queue() {
        var queue = EventQueue()
        var random = SplitMix64(seed: 3)
        for index in 0..<500 { queue.schedule(.mends(index), at: random.within(0...40)) }
        var last: (time: Microseconds, index: Int) = (0, -1)
        var isOrdered = true
        var count = 0
        while let (time, happening) = queue.next() {
            guard case .mends(let index) = happening else { continue }
            if time < last.time || (time == last.time && index < last.index) { isOrdered = false }
            last = (time, index)
            count += 1
        }
        #expect(isOrdered && count == 500)
    }

    @Test("a session's stream notices what is left out, what comes twice, and what comes too early")
    func stream() {
        let (a, b) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
        func entry(_ replica: ReplicaID, _ seq: UInt64, after: [Dot] = []) -> Entry {
            let payload = MessagePayload(user: "ann", displayName: "ann", body: [65])
            var entry = Entry(
                dot: Dot(replica: replica, seq: seq), timestamp: HybridTimestamp(rawValue: seq), kind: .message,
                room: "red", payload: payload.encoded)
            entry.dependencies = after
            return entry
        }
        var ledger = Ledger()
        ledger.stored([entry(a, 1), entry(a, 2), entry(a, 3), entry(b, 1, after: [Dot(replica: a, seq: 2)])])
        func rules(_ dots: [Dot]) -> [Violation.Rule] {
            var stream = SessionStream()
            stream.begin("red", at: VersionVector())
            return dots.compactMap { dot in ledger[dot].flatMap { stream.take(dot, $0, ledger)?.0 } }
        }
        let dots = [Dot(replica: a, seq: 1), Dot(replica: a, seq: 2), Dot(replica: b, seq: 1), Dot(replica: a, seq: 3)]
        #expect(rules(dots) == [])
        #expect(rules([dots[0], dots[3]]) == [.order])
        #expect(rules([dots[0], dots[0]]) == [.order])
        #expect(rules([dots[0], dots[2]]) == [.causality])
    }

    @Test("the ledger knows what has died with its disks")
    func died() {
        let a = ReplicaID(rawValue: 1)
        var ledger = Ledger()
        func vector(_ seq: UInt64) -> VersionVector { VersionVector([Dot(replica: a, seq: seq)]) }
        ledger.lost(vector(9), VersionVector(), others: [vector(4), vector(6)])
        #expect(!ledger.mayHaveDied(Dot(replica: a, seq: 6)))
        #expect(ledger.mayHaveDied(Dot(replica: a, seq: 7)))
    }

    @Test("a message is gone when no disk shows it, whatever stands under its number")
    func diedBodies() {
        var ledger = Ledger()
        var asked = 0
        func disk(_ bodies: Set<String>) -> () -> Set<String> {
            {
                asked += 1
                return bodies
            }
        }
        ledger.lost(["a", "b"], kept: [disk(["a"]), disk(["b", "c"]), disk([])])
        #expect(ledger.diedBodies.isEmpty && asked == 2)
        ledger.lost(["a", "b"], kept: [disk(["c"]), disk(["b"])])
        #expect(ledger.diedBodies == ["a"])
    }

    @Test("after the heal nothing goes wrong with a disk any more")
    func recovered() throws {
        let store = MemoryStore()
        let disk = Disk(index: 0, store: store, latency: 1...2, reading: 1...2)
        for _ in 0..<9 { store.inject(.refuseOpen(.unreachable("gone"))) }
        store.inject(.refuse(.full("no space")))
        disk.outage = .unreachable("gone")
        disk.recover()
        let start = WriterStart(
            freshReplica: ReplicaID(rawValue: 1), machine: "m", machineBoot: "b", nodeName: "n", held: nil,
            renew: false,
            attendanceLimit: 9)
        let (writer, recovered) = try disk.store.openWriter(start)
        var entry = Entry(
            dot: Dot(replica: recovered.replica, seq: 1), timestamp: HybridTimestamp(rawValue: 1), kind: .message,
            room: "red", payload: MessagePayload(user: "ann", displayName: "ann", body: [65]).encoded)
        entry.hash = EntryHash(high: 1, low: 1)
        try writer.append(Batch(entries: [entry]))
        #expect(disk.bodies == ["A"])
    }

    @Test("a frame is read as a client would, and nothing else is taken for one")
    func frames() {
        let text =
            #"{"id":"1","type":"ack","ref":"r","pos":"018f3c5a1b2c000000000000deadbeef23e8","copies":2,"x":[1,{"y":null}]}"#
        var bytes: [UInt8] = [0x81, UInt8(text.utf8.count)]
        bytes += Array(text.utf8)
        let frame = bytes.withUnsafeBytes { ShownFrame($0) }
        #expect(frame?.type == "ack" && frame?.ref == "r" && frame?.copies == 2)
        #expect(frame?.position?.dot.seq == 1_000)
        for end in 0..<bytes.count where Array(bytes[..<end]).withUnsafeBytes({ ShownFrame($0) }) != nil {
            Issue.record("\(end) bytes are a frame")
        }
    }
}

import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeGossip

@Suite("Attendance")
struct AttendanceTests {
    private static let key = RoomUser(room: "r", user: "u")
    private static let (a, b, c) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2), ReplicaID(rawValue: 3))

    private static func record(
        _ number: UInt64, by replica: ReplicaID = a, time: UInt64 = 0, user: Text = "u"
    ) -> AttendanceRecord {
        AttendanceRecord(
            room: "r", user: user, displayName: user, number: number,
            position: Position(
                timestamp: HybridTimestamp(rawValue: time == 0 ? number * 10 : time),
                dot: Dot(replica: replica, seq: number)))
    }

    private static func facts(
        present: Bool, hosted: Bool, as replica: ReplicaID = a, live: [ReplicaID] = [a, b, c]
    ) -> AttendanceFacts {
        AttendanceFacts(isPresent: present, isHosted: hosted, replica: replica, live: live)
    }

    @Test("what is not stored yet stays in memory, however many there are: the store could not tell it")
    func keepsUnstored() {
        var options = AttendanceOptions()
        options.limit = 8
        var attendance = Attendance(options: options)
        func left(_ number: Int) -> AttendanceRecord {
            Self.record(2, time: UInt64(100 + number), user: Text("u\(number)"))
        }
        let stored = (0..<20).map(left)
        for record in stored { _ = attendance.apply(record) }
        let mark = attendance.mark
        let unstored = (20..<40).map(left)
        for record in unstored { _ = attendance.apply(record) }
        attendance.settle(through: mark)
        let facts = Self.facts(present: true, hosted: true)
        #expect(unstored.allSatisfy { attendance.judge($0.key, facts) == .write(number: 3) })
        #expect(stored.allSatisfy { attendance.judge($0.key, facts) == .unknown })
    }

    @Test("a user's host writes joined, then left, each under the next number; where they agree nobody writes")
    func numbers() {
        var attendance = Attendance()
        let here = Self.facts(present: true, hosted: true)
        let gone = Self.facts(present: false, hosted: true)
        #expect(attendance.judge(Self.key, gone) == .agrees)
        #expect(attendance.judge(Self.key, here) == .write(number: 1))
        let isNews = attendance.apply(Self.record(1))
        #expect(isNews && attendance.judge(Self.key, here) == .agrees)
        #expect(attendance.judge(Self.key, gone) == .write(number: 2))
        _ = attendance.apply(Self.record(2))
        #expect(attendance.judge(Self.key, here) == .write(number: 3))
    }

    @Test("a node without a session of the user doesn't write joined")
    func joinedByHost() {
        let attendance = Attendance()
        #expect(attendance.judge(Self.key, Self.facts(present: true, hosted: false)) == .agrees)
    }

    @Test("left is written by who wrote joined; if that one is gone, by the lowest that lives")
    func leftByWriter() {
        var attendance = Attendance()
        _ = attendance.apply(Self.record(1, by: Self.b))
        func verdict(_ replica: ReplicaID, _ live: [ReplicaID]) -> AttendanceVerdict {
            attendance.judge(Self.key, Self.facts(present: false, hosted: false, as: replica, live: live))
        }
        #expect(verdict(Self.a, [Self.a, Self.b, Self.c]) == .agrees)
        #expect(verdict(Self.b, [Self.a, Self.b, Self.c]) == .write(number: 2))
        #expect(verdict(Self.c, [Self.a, Self.b, Self.c]) == .agrees)
        #expect(verdict(Self.a, [Self.a, Self.c]) == .write(number: 2))
        #expect(verdict(Self.c, [Self.a, Self.c]) == .agrees)
    }

    @Test("of two events of one number the first to come is news, the other is not; the earlier is what counts")
    func twins() {
        var attendance = Attendance()
        let first = attendance.apply(Self.record(1, by: Self.a, time: 50))
        let twin = attendance.apply(Self.record(1, by: Self.b, time: 40))
        let later = attendance.apply(Self.record(1, by: Self.c, time: 60))
        #expect(first && !twin && !later)
        // The writer of the earlier one writes left.
        let facts = Self.facts(present: false, hosted: false, as: Self.b)
        #expect(attendance.judge(Self.key, facts) == .write(number: 2))
    }

    @Test("what is taken back is as it was, and judged again")
    func rollback() {
        var attendance = Attendance()
        _ = attendance.apply(Self.record(1))
        attendance.settle(through: attendance.mark)
        _ = attendance.apply(Self.record(2))
        _ = attendance.apply(Self.record(3))
        attendance.rollBack(to: attendance.settled, at: 7)
        #expect(attendance.judge(Self.key, Self.facts(present: false, hosted: true)) == .write(number: 2))
        let due = attendance.takeDue(at: 7, limit: 10)
        #expect(due.map(\.key) == [Self.key] && attendance.dueCount == 0)
    }

    @Test("what memory doesn't have is asked of the store once, and then known")
    func asked() {
        var attendance = Attendance()
        attendance.load([], isComplete: false)
        let here = Self.facts(present: true, hosted: true)
        #expect(attendance.judge(Self.key, here) == .unknown)
        let (first, second) = (attendance.ask(Self.key), attendance.ask(Self.key))
        #expect(first && !second)
        attendance.notFound([Self.key])
        let third = attendance.ask(Self.key)
        #expect(third)
        attendance.found([Self.key], [Self.record(4)])
        #expect(attendance.judge(Self.key, here) == .write(number: 5))
        let other = RoomUser(room: "r", user: "nobody")
        attendance.found([other], [])
        #expect(attendance.judge(other, here) == .write(number: 1))
    }

    @Test("what the store answers does not take back what was applied meanwhile")
    func overtaken() {
        var attendance = Attendance()
        attendance.load([], isComplete: false)
        _ = attendance.ask(Self.key)
        _ = attendance.apply(Self.record(3))
        attendance.found([Self.key], [Self.record(2)])
        #expect(attendance.judge(Self.key, Self.facts(present: false, hosted: true)) == .write(number: 4))
    }

    @Test("memory is bounded: who left longest ago goes, who is there stays")
    func trims() {
        var options = AttendanceOptions()
        options.limit = 16
        var attendance = Attendance(options: options)
        for number in 0..<100 as Range<UInt64> {
            let user = Text("u\(number)")
            // Nobody writes for a user before the store has been asked.
            attendance.found([RoomUser(room: "r", user: user)], [])
            _ = attendance.apply(Self.record(1, time: 1 + number * 10, user: user))
            if number != 3 { _ = attendance.apply(Self.record(2, time: 2 + number * 10, user: user)) }
            attendance.settle(through: attendance.mark)
        }
        func verdict(_ user: Text) -> AttendanceVerdict {
            attendance.judge(RoomUser(room: "r", user: user), Self.facts(present: true, hosted: true))
        }
        #expect(verdict("u3") == .agrees)
        #expect(verdict("u0") == .unknown)
        #expect(verdict("u99") == .write(number: 3))
        let known = (0..<100).count { verdict(Text("u\($0)")) != .unknown }
        #expect((16...18).contains(known), "\(known)")
    }

    @Test("a late twin of an old number does not take the place of what only the store has")
    func lateTwin() {
        var attendance = Attendance()
        attendance.load([], isComplete: false)
        // The store has number 10; this is a late twin of 8.
        _ = attendance.apply(Self.record(8))
        let here = Self.facts(present: true, hosted: true)
        #expect(attendance.judge(Self.key, here) == .unknown)
        attendance.found([Self.key], [Self.record(10)])
        #expect(attendance.judge(Self.key, here) == .write(number: 11))
    }

    @Test("what is due is taken in order, not before its time, and not more than asked for")
    func due() {
        var attendance = Attendance()
        let keys = (0..<5).map { RoomUser(room: "r", user: Text("u\($0)")) }
        for (index, key) in keys.enumerated() { attendance.touch(key, at: index == 1 ? 100 : 10, hosted: false) }
        attendance.touch(keys[0], at: 50, hosted: true)
        #expect(attendance.takeDue(at: 9, limit: 9).isEmpty)
        let taken = attendance.takeDue(at: 10, limit: 3)
        #expect(taken.map(\.key) == [keys[0], keys[2], keys[3]] && taken[0].hosted)
        attendance.touch(keys[1], at: 20, hosted: false)
        #expect(attendance.takeDue(at: 20, limit: 9).map(\.key) == [keys[1], keys[4]])
        #expect(attendance.dueCount == 0)
    }

    @Test(
        "nodes that see it differently, and hear each other in any causal order, write a history that alternates",
        arguments: 1...40 as ClosedRange<UInt64>)
    func converges(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let replicas = [Self.a, Self.b, Self.c]
        var nodes = [Attendance](repeating: Attendance(), count: 3)
        // What each has applied: everybody's records up to here, in the order of each log.
        var logs: [[(record: AttendanceRecord, context: [Int])]] = [[], [], []]
        var applied = [[Int]](repeating: [0, 0, 0], count: 3)
        var clocks: [UInt64] = [0, 0, 0]
        var sessions = [0, 0, 0]
        var seen = [[Int]](repeating: [0, 0, 0], count: 3)

        func judge(_ node: Int, hosted: Bool) {
            let isPresent = seen[node].contains { $0 > 0 }
            let facts = Self.facts(present: isPresent, hosted: hosted || sessions[node] > 0, as: replicas[node])
            guard case .write(let number) = nodes[node].judge(Self.key, facts) else { return }
            clocks[node] += 1
            let record = AttendanceRecord(
                room: "r", user: "u", displayName: "u", number: number,
                position: Position(
                    timestamp: HybridTimestamp(rawValue: clocks[node]),
                    dot: Dot(replica: replicas[node], seq: UInt64(logs[node].count + 1))))
            logs[node].append((record, applied[node]))
            applied[node][node] += 1
            _ = nodes[node].apply(record)
        }
        func hear(_ node: Int, _ other: Int) -> Bool {
            guard applied[node][other] < logs[other].count else { return false }
            let (record, context) = logs[other][applied[node][other]]
            guard zip(context, applied[node]).allSatisfy({ $0 <= $1 }) else { return false }
            _ = nodes[node].apply(record)
            applied[node][other] += 1
            clocks[node] = max(clocks[node], record.position.timestamp.rawValue)
            judge(node, hosted: false)
            return true
        }
        for _ in 0..<200 {
            let node = random.below(3)
            let other = random.below(3)
            switch random.below(10) {
            case 0, 1:
                sessions[node] += 1
                seen[node][node] = sessions[node]
                judge(node, hosted: true)
            case 2,
                3 where sessions[node] > 0:
                sessions[node] -= 1
                seen[node][node] = sessions[node]
                judge(node, hosted: true)
            case 4, 5:
                seen[node][other] = sessions[other]
                judge(node, hosted: false)
            default: _ = hear(node, other)
            }
        }
        // Everybody hears all, until nobody has anything to say.
        for _ in 0..<20 {
            for node in 0..<3 { seen[node] = sessions }
            for node in 0..<3 { judge(node, hosted: false) }
            var isNew = true
            while isNew {
                isNew = false
                for node in 0..<3 { for other in 0..<3 where hear(node, other) { isNew = true } }
            }
        }
        var shown: [UInt64: Position] = [:]
        for (record, _) in logs.joined() {
            shown[record.number] = min(shown[record.number] ?? record.position, record.position)
        }
        let numbers = shown.sorted { $0.value < $1.value }.map(\.key)
        #expect(numbers == Array(1..<(UInt64(numbers.count) + 1)), "seed \(seed): \(numbers)")
        #expect((numbers.count % 2 == 1) == sessions.contains { $0 > 0 }, "seed \(seed)")
        #expect(applied.allSatisfy { $0 == logs.map(\.count) }, "seed \(seed)")
    }
}

import ConvergeCRDT
import Testing

@testable import ConvergeNode

@Suite("Status: how old what is missing is")
struct EntryAgesTests {
    private let one = ReplicaID(rawValue: 1)
    private let two = ReplicaID(rawValue: 2)

    private func dot(_ replica: ReplicaID, _ seq: UInt64) -> Dot { Dot(replica: replica, seq: seq) }

    @Test("an entry is as old as the look at which its log had grown past it")
    func ages() {
        var ages = EntryAges()
        ages.look(VersionVector([dot(one, 10)]), at: 1_000)
        ages.look(VersionVector([dot(one, 10)]), at: 2_000)
        ages.look(VersionVector([dot(one, 15), dot(two, 3)]), at: 3_000)
        #expect([1, 10, 11, 15].map { ages.age(of: dot(one, $0), at: 3_500) } == [2_500, 2_500, 500, 500])
        #expect(ages.age(of: dot(two, 1), at: 3_500) == 500)
        // What is not known has no age; nor does time run backwards.
        #expect(ages.age(of: dot(one, 16), at: 3_500) == 0)
        #expect(ages.age(of: dot(ReplicaID(rawValue: 3), 1), at: 3_500) == 0)
        #expect(ages.age(of: dot(one, 1), at: 0) == 0)
    }

    @Test("what a log no longer goes to is forgotten with it")
    func forgotten() {
        var ages = EntryAges()
        ages.look(VersionVector([dot(one, 5), dot(two, 5)]), at: 1_000)
        ages.look(VersionVector([dot(two, 5)]), at: 2_000)
        ages.look(VersionVector([dot(one, 5), dot(two, 5)]), at: 3_000)
        #expect(ages.age(of: dot(one, 5), at: 4_000) == 1_000)
        #expect(ages.age(of: dot(two, 5), at: 4_000) == 3_000)
    }

    @Test("a log that grows for an hour, then rests, then grows again: ages are never too low, and new ones are exact")
    func bounded() {
        var ages = EntryAges()
        var stored: [UInt64] = [0]
        var seq: UInt64 = 0
        var now: UInt64 = 0
        for second in 0..<7_200 {
            now = UInt64(second) * 1_000
            if second < 3_600 || second >= 7_000 {
                for _ in 0..<3 {
                    stored.append(now)
                    seq += 1
                }
            }
            ages.look(VersionVector([dot(one, seq)]), at: now)
        }
        let wrong = (1...seq).filter {
            let (age, real) = (ages.age(of: dot(one, $0), at: now), now - stored[Int($0)])
            return age < real || age > real + real / 2
        }
        #expect(wrong == [])
        #expect(ages.age(of: dot(one, seq), at: now) == 0)
    }
}

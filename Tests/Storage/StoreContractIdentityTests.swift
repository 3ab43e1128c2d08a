// The contract of identity: a replica goes on where that is safe, and never otherwise.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Store contract: identity")
struct StoreContractIdentityTests {
    /// A store whose replica `a` has three entries, closed or just dropped.
    private func stored(_ kind: StoreUnderTest, sync: SyncMode = .full, closed: Bool = true) throws -> FreshStore {
        let fresh = try kind.make(sync: sync)
        let (writer, _) = try fresh.open()
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(3, from: 10)))
        if closed { writer.close() }
        return fresh
    }

    @Test("each new process counts as a boot, a reopen by the same one does not", arguments: StoreUnderTest.available)
    func boots(_ kind: StoreUnderTest) throws {
        let fresh = try stored(kind)
        for (held, boot): (WriterStart.Held?, UInt64) in [
            (nil, 2), (.init(replica: .a, committed: 3), 2), (.init(replica: .a, committed: 3), 2), (nil, 3),
        ] {
            let (writer, recovered) = try fresh.open(.test(fresh: .b, held: held))
            #expect(recovered.replica == .a)
            #expect(recovered.boot == boot)
            #expect(recovered.renewal == nil)
            #expect(recovered.head == 3)
            writer.close()
        }
    }

    @Test("a process killed with everything synced goes on under its replica", arguments: StoreUnderTest.available)
    func killed(_ kind: StoreUnderTest) throws {
        let fresh = try stored(kind, closed: false)
        let recovered = try fresh.open(.test(fresh: .b, machineBoot: "next")).recovered
        #expect(recovered.replica == .a)
        #expect(recovered.renewal == nil)
        #expect(recovered.head == 3)
    }

    @Test("after a failed sync the replica is given up, and its log stays", arguments: StoreUnderTest.available)
    func renew(_ kind: StoreUnderTest) throws {
        let fresh = try stored(kind)
        let (writer, recovered) = try fresh.open(
            .test(fresh: .b, held: .init(replica: .a, committed: 3), renew: true))
        #expect(recovered.replica == .b)
        #expect(recovered.renewal == .syncFailed)
        #expect(recovered.boot == 1)
        #expect(recovered.head == 0)
        #expect(recovered.headHash == .zero)
        #expect(recovered.vector == VersionVector(Dot(replica: .a, seq: 3)))
        var log = TestLog(.b)
        try writer.append(Batch(entries: [log.entry(at: 20)]))
        writer.close()
        let (again, next) = try fresh.open(.test(fresh: .c))
        defer { again.close() }
        #expect(next.replica == .b)
        #expect(next.renewal == nil)
        #expect(next.boot == 2)
        #expect(next.vector == VersionVector(Dot(replica: .a, seq: 3), Dot(replica: .b, seq: 1)))
        #expect(try fresh.reader().history(room: "room", before: nil, limit: 9).count == 4)
    }

    @Test("a store that has less than was committed gets a new replica", arguments: StoreUnderTest.available)
    func behind(_ kind: StoreUnderTest) throws {
        let fresh = try stored(kind)
        let (writer, recovered) = try fresh.open(.test(fresh: .b, held: .init(replica: .a, committed: 4)))
        defer { writer.close() }
        #expect(recovered.replica == .b)
        #expect(recovered.renewal == .behind)
    }

    @Test("a store that has more than was known to be committed goes on", arguments: StoreUnderTest.available)
    func ahead(_ kind: StoreUnderTest) throws {
        let fresh = try stored(kind)
        let (writer, recovered) = try fresh.open(.test(fresh: .b, held: .init(replica: .a, committed: 2)))
        defer { writer.close() }
        #expect(recovered.replica == .a)
        #expect(recovered.head == 3)
    }

    @Test("a used replica is never given out as fresh", arguments: StoreUnderTest.available)
    func freshIsFresh(_ kind: StoreUnderTest) throws {
        let fresh = try stored(kind)
        let thrown = error { () throws(StoreError) in _ = try fresh.open(.test(fresh: .a, renew: true)) }
        #expect(thrown?.name == "failed")
    }

    @Test(
        "an empty store under a process that has committed something is not begun anew",
        arguments: StoreUnderTest.inOnePlace)
    func swapped(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        for _ in 0..<2 {
            let thrown = error { () throws(StoreError) in
                _ = try fresh.open(.test(fresh: .b, held: .init(replica: .a, committed: 4)))
            }
            #expect(thrown?.name == "gone")
        }
    }

    @Test(
        "a store with another replica than this process held is not gone on with", arguments: StoreUnderTest.inOnePlace)
    func otherReplica(_ kind: StoreUnderTest) throws {
        let fresh = try stored(kind)
        let (writer, recovered) = try fresh.open(.test(fresh: .b, held: .init(replica: .c, committed: 0)))
        defer { writer.close() }
        #expect(recovered.replica == .b)
        #expect(recovered.renewal == .fenced)
    }

    @Test("a store made on another machine gets a new replica", arguments: StoreUnderTest.inOnePlace)
    func otherMachine(_ kind: StoreUnderTest) throws {
        let fresh = try stored(kind)
        let (writer, recovered) = try fresh.open(.test(fresh: .b, machine: "another"))
        #expect(recovered.replica == .b)
        #expect(recovered.renewal == .copied)
        writer.close()
        let (again, next) = try fresh.open(.test(fresh: .c, machine: "another"))
        defer { again.close() }
        #expect(next.replica == .b)
    }

    @Test(
        "an unclean stop without syncs costs the replica when the machine went down",
        arguments: StoreUnderTest.inOnePlace)
    func unclean(_ kind: StoreUnderTest) throws {
        for (closed, boot, replica) in [
            (true, "next", ReplicaID.a), (false, "boot", .a), (false, "next", .b), (true, "boot", .a),
        ] {
            let fresh = try stored(kind, sync: .normal, closed: closed)
            let (writer, recovered) = try fresh.open(.test(fresh: .b, machineBoot: boot))
            defer { writer.close() }
            #expect(recovered.replica == replica, "closed: \(closed), \(boot)")
            #expect(recovered.renewal == (replica == .a ? nil : .unclean))
        }
    }
}

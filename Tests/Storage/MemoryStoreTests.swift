// What the store in memory can be told to do wrong.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Memory store")
struct MemoryStoreTests {
    @Test("a refused append stores nothing and spends the writer")
    func refused() throws {
        let store = MemoryStore()
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        let entries = own.entries(2, from: 10)
        try writer.append(Batch(entries: [entries[0]]))
        store.inject(.refuse(.full("disk")))
        #expect(error { () throws(StoreError) in try writer.append(Batch(entries: [entries[1]])) } == .full("disk"))
        #expect(error { () throws(StoreError) in try writer.append(Batch(entries: [entries[1]])) }?.name == "fenced")
        let (again, recovered) = try store.openWriter(.test(held: .init(replica: .a, committed: 1)))
        #expect(recovered.head == 1)
        try again.append(Batch(entries: [entries[1]]))
        #expect(try store.openReader().history(room: "room", before: nil, limit: 9) == entries)
    }

    @Test("an unknown outcome may have happened or not", arguments: [true, false])
    func unknown(stored: Bool) throws {
        let store = MemoryStore()
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        store.inject(.unknownOutcome(stored: stored))
        let thrown = error { () throws(StoreError) in try writer.append(Batch(entries: own.entries(2, from: 10))) }
        #expect(thrown?.name == "unknownOutcome")
        #expect(try store.openWriter(.test()).recovered.head == (stored ? 2 : 0))
    }

    @Test("a crash loses what was not synced, and the replica with it")
    func crash() throws {
        let store = MemoryStore(sync: .normal)
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(2, from: 10)))
        store.sync()
        try writer.append(Batch(entries: own.entries(2, from: 20)))
        store.crash()
        #expect(error { () throws(StoreError) in try writer.append(Batch()) }?.name == "fenced")
        let recovered = try store.openWriter(.test(fresh: .b, machineBoot: "next")).recovered
        #expect(recovered.renewal == .unclean)
        #expect(recovered.replica == .b)
        #expect(recovered.vector[.a] == 2)
    }

    @Test("a crash loses nothing where each commit is synced")
    func syncedCrash() throws {
        let store = MemoryStore()
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(2, from: 10)))
        store.crash()
        let recovered = try store.openWriter(.test(fresh: .b, machineBoot: "next")).recovered
        #expect(recovered.replica == .a)
        #expect(recovered.head == 2)
    }

    @Test("a copy goes on under another replica, and the original is untouched")
    func copy() throws {
        let store = MemoryStore()
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(2, from: 10)))
        let copy = store.copy()
        let recovered = try copy.openWriter(.test(fresh: .b)).recovered
        #expect(recovered.renewal == .copied)
        #expect(recovered.replica == .b)
        #expect(recovered.vector[.a] == 2)
        try writer.append(Batch(entries: own.entries(1, from: 20)))
        #expect(try copy.openReader().entries(of: .a, from: 3, limit: 1).isEmpty)
    }

    @Test("a second open fences the first writer, and closing the first then changes nothing")
    func fenced() throws {
        let store = MemoryStore()
        let first = try store.openWriter(.test()).writer
        let second = try store.openWriter(.test()).writer
        #expect(error { () throws(StoreError) in try first.append(Batch()) }?.name == "fenced")
        first.close()
        try second.append(Batch())
    }

    @Test("an outage lasts until it ends")
    func outage() throws {
        let store = MemoryStore()
        let writer = try store.openWriter(.test()).writer
        let reader = try store.openReader()
        store.setOutage(.unreachable("away"))
        #expect(error { () throws(StoreError) in try writer.append(Batch()) } == .unreachable("away"))
        #expect(error { () throws(StoreError) in _ = try reader.positions(of: []) } == .unreachable("away"))
        #expect(error { () throws(StoreError) in _ = try store.openReader() } == .unreachable("away"))
        #expect(error { () throws(StoreError) in _ = try store.openWriter(.test()) } == .unreachable("away"))
        store.setOutage(nil)
        _ = try reader.positions(of: [])
        store.inject(.refuseOpen(.locked("elsewhere")))
        #expect(error { () throws(StoreError) in _ = try store.openWriter(.test()) } == .locked("elsewhere"))
        _ = try store.openWriter(.test())
    }

    @Test("a copy that keeps the file goes on unnoticed under the same replica")
    func unnoticedCopy() throws {
        let store = MemoryStore()
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(2, from: 10)))
        let copy = store.copy(keepingFile: true)
        let recovered = try copy.openWriter(.test(fresh: .b)).recovered
        #expect(recovered.replica == .a && recovered.renewal == nil)
        #expect(copy.fingerprint() == store.fingerprint())
        #expect(copy.state == store.state)
    }

    @Test("a crash loses snapshots and pruning that were not synced, and what was synced in pieces stays whole")
    func crashedInstall() throws {
        let server = MemoryStore()
        var theirs = TestLog(.b)
        let entries = theirs.entries(3, from: 10)
        try server.openWriter(.test(fresh: .b)).writer.append(Batch(entries: entries))
        let none = VersionVector()
        let final = try server.openReader().snapshot(
            SnapshotWant(number: 1, have: none, since: none, reached: none, after: nil, limit: 9_999))
        let store = MemoryStore(sync: .normal)
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(2, from: 10)))
        store.sync()
        let synced = store.state
        let fingerprint = store.fingerprint()
        _ = try writer.install(final, have: none)
        _ = try writer.prune(Pruning(entriesBefore: HybridTimestamp(rawValue: 11), keysBefore: .zero, limit: 9))
        #expect(store.fingerprint() != fingerprint)
        store.crash()
        #expect(store.state == synced)
        #expect(store.fingerprint() == fingerprint)
        let again = try store.openWriter(.test()).writer
        let recovered = try again.install(final, have: none)
        store.sync()
        store.crash()
        #expect(store.vector == recovered.vector)
    }

    @Test("a fingerprint is of the contents, not of the order in which they came")
    func fingerprint() throws {
        var a = TestLog(.a)
        var b = TestLog(.b)
        let (ours, theirs) = (a.entries(5, from: 10), b.entries(5, from: 12))
        let one = MemoryStore()
        let two = MemoryStore()
        try one.openWriter(.test()).writer.append(Batch(entries: ours + theirs))
        let writer = try two.openWriter(.test()).writer
        for entry in theirs { try writer.append(Batch(entries: [entry])) }
        #expect(one.fingerprint() != two.fingerprint())
        for entry in ours { try writer.append(Batch(entries: [entry])) }
        #expect(one.fingerprint() == two.fingerprint())
        // The same in every process.
        #expect(one.fingerprint() == 5_117_458_192_674_467_537)
    }

    @Test("planted, twins are kept")
    func keptTwins() throws {
        let store = MemoryStore(planted: StoreFaults(keepsTwins: true))
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        let entries = own.entries(2, from: 10)
        let id = MessageID(high: 1, low: 1)
        try writer.append(Batch(entries: entries, effects: entries.map { .key(id, position: $0.position) }))
        #expect(try store.openReader().history(room: "room", before: nil, limit: 9) == entries)
    }
}

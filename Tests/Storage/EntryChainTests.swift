// The chained hash, against values made by another implementation of the same words.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Entry chain")
struct EntryChainTests {
    private func chained(_ count: Int) -> [Entry] {
        let chain = EntryChain()
        var log = TestLog(.a)
        var previous = EntryHash.zero
        return log.entries(count, from: 1_000).map { entry in
            var entry = entry
            entry.hash = chain.hash(after: previous, entry)
            previous = entry.hash
            return entry
        }
    }

    @Test("a hash is the first half of SHA-256 over the hash before, the header and the payload's digest")
    func golden() {
        var entry = Entry(
            dot: Dot(replica: ReplicaID(rawValue: 0x0102_0304_0506_0708), seq: 300),
            timestamp: HybridTimestamp(milliseconds: 1_700_000_000_000, counter: 5), kind: .message, room: "lobby",
            payload: Array("hello".utf8))
        entry.dependencies = [Dot(replica: .c, seq: 7)]
        let hash = EntryChain().hash(after: EntryHash(high: 1, low: 2), entry)
        #expect(hash == EntryHash(high: 0xE78B_039A_D3E3_9A6C, low: 0x12B0_5F49_0627_8049))
    }

    @Test("an id is the same for the same room, user and key, and another where the split between them is")
    func messageIDs() {
        let chain = EntryChain()
        let id = chain.messageID(room: "lobby", user: "ann", key: "k1")
        #expect(id == MessageID(high: 0x6FF5_FFFA_83ED_E537, low: 0x49FD_27BC_73A9_5270))
        #expect(id == EntryChain().messageID(room: "lobby", user: "ann", key: "k1"))
        #expect(id != chain.messageID(room: "lobbya", user: "nn", key: "k1"))
        #expect(id != chain.messageID(room: "lobby", user: "annk", key: "1"))
    }

    @Test("a chain verifies, and doesn't once anything in it is changed, left out or moved")
    func verify() {
        let chain = EntryChain()
        let entries = chained(5)
        #expect(chain.verifies(entries, after: .zero))
        #expect(chain.verifies(entries[2...], after: entries[1].hash))
        #expect(!chain.verifies(entries[2...], after: entries[0].hash))
        let changes: [(inout Entry) -> Void] = [
            { $0.payload[0] ^= 1 }, { $0.room = "rooM" }, { $0.timestamp.rawValue += 1 }, { $0.namespace = 1 },
            { $0.dependencies = [Dot(replica: .b, seq: 1)] }, { $0.dot.seq += 1 },
            { $0.kind = .system }, { $0.hash.low ^= 1 }, { $0.flags = Entry.Flags(rawValue: 128) },
        ]
        var unnoticed: [Int] = []
        for (index, change) in changes.enumerated() {
            var changed = entries
            change(&changed[2])
            if chain.verifies(changed, after: .zero) { unnoticed.append(index) }
        }
        #expect(unnoticed.isEmpty)
        #expect(!chain.verifies(Array(entries[0...1] + entries[3...]), after: .zero))
        #expect(!chain.verifies([entries[1], entries[0]], after: .zero))
    }

    @Test("a chain verifies with payloads erased")
    func redacted() {
        let chain = EntryChain()
        var entries = chained(5)
        entries[1] = chain.redacted(entries[1])
        entries[4] = chain.redacted(chain.redacted(entries[4]))
        #expect(entries[1].payload.count == 32)
        #expect(chain.verifies(entries, after: .zero))
        entries[1].payload[0] ^= 1
        #expect(!chain.verifies(entries, after: .zero))
    }
}

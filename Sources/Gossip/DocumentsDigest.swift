import ConvergeCRDT
import ConvergeWire

// A number for what all documents hold, to notice that two nodes that have the same entries don't have the same documents.
//
// What stands under a key has a hash; the digest is their sum. So a change costs two hashes, whatever there is beside it, and
// the order in which things came leaves no trace. There is no seed in it: two processes get one number. It finds mistakes;
// against somebody who wants two states to look alike it is no protection.
//
// Nodes compare it whatever build they are of: for a set, a register and a counter it is what it was when each of them had a
// store of its own. So a counter has one hash a replica, of both totals, and dots stand for what was put in under them.

struct DocumentsDigest: Sendable {
    private(set) var value: UInt64 = 0

    /// One thing has become another; nil and nothing have no part in the sum.
    mutating func change(from before: UInt64, to after: UInt64) { value = value &- before &+ after }

    /// What stands under `key`, with what it has one hash with; 0 where that is nothing.
    static func part(_ key: Text, in cells: DocumentCells, of document: DocumentID) -> UInt64 {
        var hash = DigestHash()
        hash.add(document)
        switch cells.rule {
        case .observed:
            let group = cells[key]
            if group.isEmpty { return 0 }
            hash.add(key)
            for write in group.writes {
                hash.add(write.dot)
                if let text = write.value.text { hash.add(text) }
            }
        case .latest:
            guard let write = cells[key].latest else { return 0 }
            if !key.isEmpty { hash.add(key) }
            hash.add(write.timestamp.rawValue)
            hash.add(write.dot.replica.rawValue)
            if let text = write.value.text { hash.add(text) }
        case .greatest:
            guard let replica = CounterForm.replica(of: key), let totals = CounterForm.totals(of: replica, in: cells)
            else { return 0 }
            hash.add(replica.rawValue)
            hash.add(totals.up)
            hash.add(totals.down)
        }
        return hash.value
    }
}

extension DigestHash {
    fileprivate mutating func add(_ dot: Dot) {
        add(dot.replica.rawValue)
        add(dot.seq)
    }

    fileprivate mutating func add(_ document: DocumentID) {
        add(document.room)
        add(UInt64(document.kind.rawValue))
        add(document.name)
    }

    /// The length first, so that no two texts run into one another.
    fileprivate mutating func add(_ text: Text) {
        text.withUTF8 { utf8 in
            add(UInt64(utf8.count))
            let bytes = UnsafeRawBufferPointer(utf8)
            var at = 0
            while at + 8 <= bytes.count {
                add(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)))
                at += 8
            }
            guard at < bytes.count else { return }
            var rest: UInt64 = 0
            while at < bytes.count {
                rest = rest << 8 | UInt64(bytes[at])
                at += 1
            }
            add(rest)
        }
    }
}

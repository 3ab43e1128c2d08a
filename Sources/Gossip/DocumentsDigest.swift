import ConvergeCRDT
import ConvergeWire

// A number for what all documents hold, to notice that two nodes that have the same entries don't have the same documents.
//
// Each element under its dots, each register's write and each replica's part of a counter has a hash; the digest is their
// sum. So a change costs two hashes, whatever there is beside it, and the order in which things came leaves no trace. There
// is no seed in it: two processes get one number. It finds mistakes; against somebody who wants two states to look alike it
// is no protection.

struct DocumentsDigest: Sendable {
    private(set) var value: UInt64 = 0

    /// One thing has become another; nil and nothing have no part in the sum.
    mutating func change(from before: UInt64, to after: UInt64) { value = value &- before &+ after }

    /// 0 for an element that stands under no dot.
    static func element(_ element: Text, under dots: DotSet, of document: DocumentID) -> UInt64 {
        guard !dots.isEmpty else { return 0 }
        var hash = DigestHash()
        hash.add(document)
        hash.add(element)
        for dot in dots { hash.add(dot) }
        return hash.value
    }

    /// 0 for a register that was never written; one that was cleared keeps its stamp.
    static func register(_ register: LWWRegister<Text>?, of document: DocumentID) -> UInt64 {
        guard let stamp = register?.stamp else { return 0 }
        var hash = DigestHash()
        hash.add(document)
        hash.add(stamp.timestamp.rawValue)
        hash.add(stamp.replica.rawValue)
        if let value = register?.value { hash.add(value) }
        return hash.value
    }

    /// 0 where the replica never wrote the counter.
    static func part(_ totals: CounterTotals?, by replica: ReplicaID, of document: DocumentID) -> UInt64 {
        guard let totals else { return 0 }
        var hash = DigestHash()
        hash.add(document)
        hash.add(replica.rawValue)
        hash.add(totals.up)
        hash.add(totals.down)
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

// A 64-bit number for what a store holds, whatever the order in which it came.
//
// Each thing has a hash of its own, and the fingerprint is their sum: so it is kept up to date by one addition a change,
// and does not depend on order. The hash has no seed, so that two processes get one number. It is no protection against
// somebody who wants two things to be alike.
//
// The mixing step is that of wyhash: the two halves of a 128-bit product.

import ConvergeCRDT
import ConvergeWire

struct ContentHash {
    private(set) var value: UInt64

    /// - Parameter tag: another one for each sort of thing.
    init(_ tag: UInt64) { value = (tag &+ 1) &* 0x9E37_79B9_7F4A_7C15 }

    @inline(__always)
    mutating func mix(_ word: UInt64) {
        let product = (value ^ 0xA076_1D64_78BD_642F).multipliedFullWidth(by: word ^ 0xE703_7ED1_A0B4_28DB)
        value = product.high ^ product.low &+ value
    }

    mutating func mix(_ text: Text) {
        text.withUTF8 { utf8 in
            mix(UInt64(utf8.count))
            let bytes = UnsafeRawBufferPointer(utf8)
            var at = 0
            while at + 8 <= bytes.count {
                mix(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)))
                at += 8
            }
            var rest: UInt64 = 0
            while at < bytes.count {
                rest = rest << 8 | UInt64(bytes[at])
                at += 1
            }
            mix(rest)
        }
    }

    mutating func mix(_ dot: Dot) {
        mix(dot.replica.rawValue)
        mix(dot.seq)
    }

    mutating func mix(_ position: Position) {
        mix(position.timestamp.rawValue)
        mix(position.dot)
    }

    mutating func mix(_ document: DocumentID) {
        mix(document.room)
        mix(UInt64(document.kind.rawValue))
        mix(document.name)
    }

    // MARK: What a store holds

    /// An entry that history shows.
    static func shown(_ entry: Entry) -> UInt64 {
        var hash = ContentHash(1)
        hash.mix(entry.room)
        hash.mix(entry.position)
        hash.mix(UInt64(entry.kind.rawValue))
        hash.mix(entry.hash.high)
        hash.mix(entry.hash.low)
        return hash.value
    }

    static func cell(_ cell: DocumentCell, of document: DocumentID) -> UInt64 {
        var hash = ContentHash(2)
        hash.mix(document)
        hash.mix(cell.key)
        switch cell.value {
        case .none: hash.mix(0)
        case .text(let text):
            hash.mix(1)
            hash.mix(text)
        case .number(let number):
            hash.mix(2)
            hash.mix(number)
        }
        hash.mix(Position(timestamp: cell.timestamp, dot: cell.dot))
        return hash.value
    }

    static func touched(_ document: DocumentID, _ dot: Dot) -> UInt64 {
        var hash = ContentHash(4)
        hash.mix(document)
        hash.mix(dot)
        return hash.value
    }

    static func attendance(_ record: AttendanceRecord) -> UInt64 {
        var hash = ContentHash(5)
        hash.mix(record.room)
        hash.mix(record.user)
        hash.mix(record.displayName)
        hash.mix(record.number)
        hash.mix(record.position)
        return hash.value
    }
}

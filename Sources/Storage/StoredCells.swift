// How a cell's slot and its number stand in a table's column: the same bytes in every store.
//
// Invariant: bytes compare as what they stand for does, so that tables sort cells as memory does, and the greater of two
// numbers is the greater of their bytes.
//
//     slot     replica 8 · seq 8, big-endian; empty where a key has one cell
//     number   8, big-endian

import ConvergeCRDT
import ConvergeWire

extension CellPlace<Text> {
    var storedSlot: [UInt8] { slot.map { $0.replica.rawValue.storedBytes + $0.seq.storedBytes } ?? [] }
}

extension UInt64 {
    var storedBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }

    /// What is not 8 bytes, which this program never writes, reads as 0.
    init(storedBytes bytes: [UInt8]) { self = bytes.count == 8 ? bytes.reduce(0) { $0 << 8 | UInt64($1) } : 0 }
}

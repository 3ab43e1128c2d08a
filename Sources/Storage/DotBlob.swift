// An entry's dependencies as bytes in a database column: 16 bytes a dot, replica then seq, both big-endian.

import ConvergeCRDT

enum DotBlob {
    static func encode(_ dots: [Dot]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(dots.count * 16)
        for dot in dots {
            withUnsafeBytes(of: dot.replica.rawValue.bigEndian) { bytes.append(contentsOf: $0) }
            withUnsafeBytes(of: dot.seq.bigEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }

    /// nil where the bytes are not a whole number of dots.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> [Dot]? {
        guard bytes.count % 16 == 0 else { return nil }
        return stride(from: 0, to: bytes.count, by: 16).map { at in
            Dot(
                replica: ReplicaID(
                    rawValue: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))),
                seq: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self)))
        }
    }
}

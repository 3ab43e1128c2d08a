import ConvergeCRDT

/// Writes the fields of one frame, in its context. The reading side of each is in PeerReader.swift.
struct PeerWriter: ~Copyable {
    private(set) var out: ByteBuffer
    var context = PeerContext()

    init(_ out: consuming ByteBuffer) { self.out = out }

    consuming func finish() -> ByteBuffer { out }

    mutating func append(byte: UInt8) { out.append(byte) }

    mutating func append(_ number: UInt64) { out.appendVarint(number) }

    /// Eight bytes: for what is random, or spread as wide.
    mutating func append(fixed number: UInt64) { out.appendFixed(number) }

    mutating func append(_ text: Text) { out.appendCounted(text) }

    mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { out.appendCounted($0) } }

    /// 0 for the room that was named last in this frame; otherwise its length and 1, and the room.
    mutating func append(room: Text) {
        if room == context.room {
            out.append(0)
        } else {
            out.appendVarint(UInt64(room.byteCount) + 1)
            out.append(room)
            context.room = room
        }
    }

    /// 0 and the eight bytes, or which one it is of those that were written out before, from 1.
    mutating func append(_ replica: ReplicaID) {
        if let index = context.index(of: replica) {
            out.append(UInt8(index + 1))
        } else {
            out.append(0)
            out.appendFixed(replica.rawValue)
            context.note(replica)
        }
    }

    mutating func append(_ timestamp: HybridTimestamp) {
        out.appendVarint(timestamp.distance(from: context.timestamp))
        context.timestamp = timestamp
    }

    mutating func append(_ position: Position) {
        append(position.timestamp)
        position.dot.write(to: &self)
    }

    /// Their number, then each.
    mutating func append<F: PeerField>(_ list: [F]) {
        out.appendVarint(UInt64(list.count))
        append(rest: list)
    }

    /// Each of them, up to the frame's end.
    mutating func append<F: PeerField>(rest list: [F]) {
        for element in list { element.write(to: &self) }
    }

    mutating func append(_ vector: VersionVector) { append(vector.components) }
}

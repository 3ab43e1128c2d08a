import ConvergeWire

/// What waits to be sent to one client, and where it may be cut.
///
/// Whoever appends says where a piece ends: an HTTP answer, a frame, the frames of a room's turn. So the queue knows its
/// boundaries whatever protocol the bytes are of, and nobody has to find them in bytes that others have chosen.
///
/// ```
///   0         front   sent            ends[first]      ends[…]      bytes.count
///   ├─ gone ────┼───────┼─────────────────┼───────────────┼─── … ────────┤
///               └── begun: never cut ─────┘
/// ```
/// Invariant: the groups' ends rise, and the last is the end of the bytes. A group is one piece, or several that have
/// no more than `groupLimit` bytes together: so what is kept of boundaries is small beside the bytes, however short the
/// pieces are. A group of which something has left takes no more pieces.
struct OutgoingQueue: ~Copyable {
    private struct Group {
        var end: Int
        var frames: Int
    }

    /// Short pieces are kept or dropped together, as long as they have no more bytes than this.
    static let groupLimit = 512

    private var buffer = ByteBuffer()
    /// How many bytes of the buffer have left.
    private var sent = 0
    private var groups: [Group] = []
    /// The first group that has not left altogether, and where it begins; before `sent` where some of it has left.
    private var first = 0
    private var front = 0
    /// Nothing before this offset may be dropped.
    private var kept = 0
    /// About how many frames wait: those of the groups that have not left altogether.
    private(set) var frames = 0

    init() {}

    /// How many bytes wait.
    var count: Int { buffer.count - sent }
    var isEmpty: Bool { count == 0 }
    /// What waits; valid until the queue is changed.
    var bytes: UnsafeRawBufferPointer { buffer.bytes(sent..<buffer.count) }
    /// Bytes in front that have left and still take room.
    var sentCount: Int { sent }
    var capacity: Int { buffer.capacity }
    var groupCount: Int { groups.count - first }

    // MARK: In

    /// Appends the one piece that `encode` writes.
    mutating func append(frames: Int = 1, _ encode: (inout ByteBuffer) -> Void) {
        encode(&buffer)
        endPiece(at: buffer.count, frames: frames)
    }

    mutating func append(_ frame: UnsafeRawBufferPointer) {
        buffer.append(frame)
        endPiece(at: buffer.count, frames: 1)
    }

    /// Appends the frames of a room's turn from `offset` to `end`, which is the end of one. Where `offset` is within a frame
    /// its first bytes have left, directly; then nothing may be waiting.
    mutating func append(_ run: borrowing TurnFrames, from offset: Int, to end: Int) {
        if isEmpty, run.end(around: offset) != nil { front = sent - 1 }
        let shift = buffer.count - offset
        buffer.append(run.bytes.bytes(offset..<end))
        var index = run.frames.count - run.count(from: offset)
        while index < run.frames.count, run.frames[index].end <= end {
            endPiece(at: run.frames[index].end + shift, frames: 1)
            index += 1
        }
    }

    private mutating func endPiece(at end: Int, frames count: Int) {
        let last = groups.count - 1
        // A piece of nothing is none.
        guard end > (last >= first ? groups[last].end : sent) else { return }
        frames += count
        if last >= first {
            let start = last > first ? groups[last - 1].end : front
            if start >= max(sent, kept), end - start <= Self.groupLimit {
                groups[last].end = end
                groups[last].frames += count
                return
            }
        }
        groups.append(Group(end: end, frames: count))
    }

    /// What waits now is never dropped: what follows makes no sense without it.
    mutating func keep() { kept = buffer.count }

    // MARK: Out

    /// So many of the bytes that wait have left. Amortized O(1) a group.
    mutating func leave(_ count: Int) {
        sent += count
        while first < groups.count, groups[first].end <= sent {
            frames -= groups[first].frames
            front = groups[first].end
            first += 1
        }
    }

    /// Moves what waits to the front. O(what waits).
    mutating func compact() {
        buffer.removeFirst(sent)
        groups.removeFirst(first)
        for index in groups.indices { groups[index].end -= sent }
        front -= sent
        kept = max(0, kept - sent)
        first = 0
        sent = 0
    }

    /// Throws away what waits, but for the rest of what has left in part, and for what was to be kept.
    mutating func drop() {
        let begun = front < sent && first < groups.count ? groups[first].end : sent
        let end = max(begun, kept)
        buffer.truncate(to: end)
        while groups.count > first, let last = groups.last, last.end > end {
            frames -= last.frames
            groups.removeLast()
        }
    }

    /// All has left: gives back the memory.
    mutating func removeAll() {
        buffer.removeAll(keeping: 0)
        groups = []
        first = 0
        front = 0
        sent = 0
        kept = 0
        frames = 0
    }
}

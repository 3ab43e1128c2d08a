/// What waits to be sent over one link: frames of two kinds, each kind in its order, live ones before bulk.
///
/// A probe or an entry that was just written is never behind a catch-up here; only the frame that has begun to leave is
/// finished first. Past a limit in bytes the link is not worth keeping: the other side takes less than the least it must.
struct LinkQueue {
    /// A peer that is this far behind with what is live is cut off; when it is back it asks for what it lacks.
    static let liveLimit = 32 << 20
    /// Answers that were asked for. The cores ask one piece at a time, so this is reached by a peer that breaks the rules.
    static let bulkLimit = 64 << 20

    private var live = Line()
    private var bulk = Line()

    private(set) var byteCount = 0
    var isEmpty: Bool { live.isEmpty && bulk.isEmpty }

    /// False where it is over its limit; then the frame is not taken.
    mutating func append(_ frame: [UInt8], bulk isBulk: Bool) -> Bool {
        let isTaken = isBulk ? bulk.append(frame, limit: Self.bulkLimit) : live.append(frame, limit: Self.liveLimit)
        if isTaken { byteCount += frame.count }
        return isTaken
    }

    /// The frame that is to leave next.
    mutating func next() -> [UInt8]? {
        guard let frame = live.next() ?? bulk.next() else { return nil }
        byteCount -= frame.count
        return frame
    }

    private struct Line {
        private var frames: [[UInt8]] = []
        private var head = 0
        private var byteCount = 0

        var isEmpty: Bool { head == frames.count }

        mutating func append(_ frame: [UInt8], limit: Int) -> Bool {
            guard byteCount + frame.count <= limit else { return false }
            byteCount += frame.count
            frames.append(frame)
            return true
        }

        mutating func next() -> [UInt8]? {
            guard !isEmpty else { return nil }
            let frame = exchange(&frames[head], for: [])
            head += 1
            byteCount -= frame.count
            if head == frames.count {
                frames.removeAll(keepingCapacity: frames.count < 1_024)
                head = 0
            } else if head >= 1_024, head * 2 >= frames.count {
                frames.removeFirst(head)
                head = 0
            }
            return frame
        }
    }
}

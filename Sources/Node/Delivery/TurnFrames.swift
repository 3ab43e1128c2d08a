import ConvergeCRDT
import ConvergeWire

/// The frames of one room in one turn, in order, encoded once: each subscription gets the run at once.
struct TurnFrames: ~Copyable {
    var room: UInt32 = 0
    var bytes = ByteBuffer()
    /// Where each frame ends, and which entry it shows.
    var frames: [(end: Int, dot: Dot?)] = []
    /// Events that the room was handed among them and not shown, and how many bytes stand before each.
    var passedOver: [(end: Int, dot: Dot)] = []

    /// How many of the frames begin at or after `offset`.
    func count(from offset: Int) -> Int {
        if offset == 0 { return frames.count }
        return frames.reduce(0) { $0 + ($1.end > offset ? 1 : 0) }
    }

    /// Where the frame ends that `offset` is within; nil where one begins there, or all have ended.
    func end(around offset: Int) -> Int? {
        guard offset > 0, let frame = frames.first(where: { $0.end >= offset }), frame.end > offset else { return nil }
        return frame.end
    }
}

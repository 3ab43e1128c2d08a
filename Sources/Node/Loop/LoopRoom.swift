import ConvergeCRDT
import ConvergeWire

/// A room as one loop sees it: which of its connections are in it.
struct LoopRoom: ~Copyable {
    var name: Text = ""
    /// What this loop had been handed of all logs when the room's first member here came in.
    var since = VersionVector()
    /// What came since then and was not shown.
    var unshown = UnshownEvents()
    /// Slots of the members that get frames as they come.
    var members: [UInt32] = []
    /// Slots of slow members, which are fed from the store.
    var slow: [UInt32] = []
    /// This turn's frames, while there are some: an index into the loop's `turns`.
    var frames: Int32 = -1

    var isEmpty: Bool { members.isEmpty && slow.isEmpty }
}

/// The frames of one room in one turn, in order, encoded once: each member gets the run in one `send`.
struct TurnFrames: ~Copyable {
    var room: UInt32 = 0
    var bytes = ByteBuffer()
    /// Where each frame ends, and which entry it shows.
    var frames: [(end: Int, dot: Dot?)] = []

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

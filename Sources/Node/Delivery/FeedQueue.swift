import ConvergeCRDT
import ConvergeWire

/// The bytes that go with a `Feed`, which decides about them.
final class FeedQueue {
    var feed: Feed
    /// The `ref` of a resume that is not over.
    var ref: Text?
    /// The live frames that the feed holds: where each ends in `bytes`, and which entry it shows.
    private(set) var bytes = ByteBuffer()
    private(set) var ends: [Int] = []
    private(set) var dots: [Dot?] = []
    /// The turn in which the feed was last told how far the live frames are.
    var turn: UInt32 = 0

    init(_ feed: Feed, ref: Text? = nil) {
        self.feed = feed
        self.ref = ref
    }

    /// Keeps a frame that the feed holds; gives all up where they become more than `limit` bytes.
    func hold(_ frame: UnsafeRawBufferPointer, _ dot: Dot?, limit: Int) {
        if bytes.count + frame.count > limit {
            overflow()
        } else {
            bytes.append(frame)
            ends.append(bytes.count)
            dots.append(dot)
        }
    }

    /// See `Feed.setBack`, which holds nothing after it.
    func setBack(from position: VersionVector) {
        feed.setBack(from: position)
        keep([])
    }

    /// Gives up what is held.
    func overflow() {
        feed.overflow()
        keep([])
    }

    /// Keeps those with these numbers and forgets the others.
    func keep(_ numbers: [Int]) {
        var kept = ByteBuffer()
        dots = numbers.map { dots[$0] }
        ends = numbers.map { number in
            kept.append(self[number])
            return kept.count
        }
        bytes = kept
    }

    subscript(number: Int) -> UnsafeRawBufferPointer {
        bytes.bytes((number == 0 ? 0 : ends[number - 1])..<ends[number])
    }
}

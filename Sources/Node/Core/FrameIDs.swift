import ConvergeWire

/// Ids for frames that are not stored: unique as long as no two processes share the seed.
struct FrameIDs {
    private let seed: UInt64
    private var count: UInt64 = 0

    init(seed: UInt64) { self.seed = seed }

    mutating func next() -> MessageID {
        count += 1
        return MessageID(high: seed, low: count)
    }
}

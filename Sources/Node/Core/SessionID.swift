/// Names one session on this node: the loop that carries it, its place in that loop's table, and how often that place has
/// been used, so that what comes late for a session that is gone finds nobody.
struct SessionID: Hashable, Sendable, CustomStringConvertible {
    /// loop: 8 bits, slot: 24, generation: 32.
    let rawValue: UInt64

    static let slotLimit = 1 << 24

    init(loop: Int, slot: UInt32, generation: UInt32) {
        assert(loop < LoopSet.limit && slot < Self.slotLimit)
        rawValue = UInt64(loop) << 56 | UInt64(slot) << 32 | UInt64(generation)
    }

    var loop: Int { Int(rawValue >> 56) }
    var slot: UInt32 { UInt32(rawValue >> 32) & 0xFF_FFFF }
    var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

    /// As it stands in the log: loop, slot and generation.
    var description: String { "\(loop).\(slot).\(generation)" }
}

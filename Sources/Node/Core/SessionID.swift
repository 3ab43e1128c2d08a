import ConvergeWire

/// Names one session on this node: the loop that carries it, its place in that loop's table, and how often that place has
/// been used, so that what comes late for a session that is gone finds nobody. And which generation of the protocol it speaks:
/// whoever writes a frame for it needs no more than its id.
struct SessionID: Hashable, Sendable, CustomStringConvertible {
    /// The second generation: 1 bit, unused: 1, loop: 6, slot: 24, use: 32.
    let rawValue: UInt64

    static let slotLimit = 1 << 24

    /// - Parameter use: how often the slot has been used.
    init(loop: Int, slot: UInt32, generation use: UInt32, speaking protocol: ProtocolGeneration = .first) {
        assert(loop < LoopSet.limit && slot < Self.slotLimit)
        let second: UInt64 = `protocol` == .second ? 1 << 63 : 0
        rawValue = second | UInt64(loop) << 56 | UInt64(slot) << 32 | UInt64(use)
    }

    var loop: Int { Int(rawValue >> 56 & 0x3F) }
    var slot: UInt32 { UInt32(rawValue >> 32) & 0xFF_FFFF }
    /// How often its slot has been used.
    var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
    var speaks: ProtocolGeneration { rawValue >> 63 == 0 ? .first : .second }

    /// As it stands in the log: loop, slot and generation.
    var description: String { "\(loop).\(slot).\(generation)" }
}

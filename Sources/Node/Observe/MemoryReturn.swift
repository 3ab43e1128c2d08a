import ConvergeTransport

/// Gives memory back to the system after a mass disconnect: glibc's allocator keeps what thousands of clients have freed.
struct MemoryReturn {
    /// Fewer sessions than this are not worth the pause.
    private static let worthwhile = 1_000

    private var peak = 0

    /// Called now and then: trims when over half of the sessions have gone since the last time it did.
    mutating func look(sessions: Int) {
        peak = max(peak, sessions)
        guard peak >= Self.worthwhile, sessions < peak / 2 else { return }
        peak = sessions
        Allocator.trim()
    }
}

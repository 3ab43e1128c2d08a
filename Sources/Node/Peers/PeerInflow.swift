import Synchronization

/// How much has come from peers that the core has not worked off: past a limit nothing more is read from them, and TCP
/// makes them wait.
///
/// The loop of the links adds, the core takes. Whoever of the two notices that reading may go on, and was stopped, says
/// so, once.
final class PeerInflow: Sendable {
    /// Bytes. One frame may be larger; it comes in pieces, which the core gathers.
    static let limit = 8 << 20

    private let waiting = Atomic<Int>(0)
    private let stopped = Atomic<Bool>(false)

    /// True where reading has to stop: until `take` or a later `mayGoOn` says otherwise.
    func add(_ bytes: Int) -> Bool {
        guard waiting.wrappingAdd(bytes, ordering: .sequentiallyConsistent).newValue > Self.limit else { return false }
        stopped.store(true, ordering: .sequentiallyConsistent)
        // The core may have taken everything in between, and have found nobody stopped.
        return !mayGoOn()
    }

    /// True where reading was stopped and may go on now.
    func take(_ bytes: Int) -> Bool {
        waiting.wrappingSubtract(bytes, ordering: .sequentiallyConsistent)
        return mayGoOn()
    }

    private func mayGoOn() -> Bool {
        guard waiting.load(ordering: .sequentiallyConsistent) <= Self.limit / 2 else { return false }
        return stopped.exchange(false, ordering: .sequentiallyConsistent)
    }

    var depth: Int { waiting.load(ordering: .relaxed) }
}

import ConvergeCRDT
import ConvergeWire

/// The pieces of a snapshot on their way into the store.
///
/// They are the writer's work, like a batch or a pruning, and wait their turn. The last one is stored when nothing that
/// other nodes wrote is unstored: what is applied after it stands on what it brings.
struct Staging {
    private enum Work {
        case stage(SnapshotChunk)
        case install(SnapshotChunk, have: VersionVector)
        case reload(SnapshotChunk)
    }

    private var waiting: Work?
    /// What is staged belongs to an older snapshot.
    private var isStale = true
    /// The writer is at it.
    private(set) var isBusy = false

    /// The open batch has to be stored before anything else can be done here.
    var isInstalling: Bool {
        if case .install = waiting { true } else { false }
    }

    /// What takes the place of all that is stored can go to the writer: what is open must not be stored first.
    var isReloading: Bool {
        if case .reload = waiting { true } else { false }
    }

    mutating func discard() {
        waiting = nil
        isStale = true
    }

    mutating func stage(_ chunk: SnapshotChunk) { waiting = .stage(chunk) }

    mutating func install(_ chunk: SnapshotChunk, have: VersionVector) { waiting = .install(chunk, have: have) }

    mutating func reload(_ chunk: SnapshotChunk) { waiting = .reload(chunk) }

    /// The next piece, if there is one that can be given to the writer now; it is then busy until `finished`.
    mutating func next(foreignWaits: Bool) -> CoreEffect? {
        let effect: CoreEffect
        switch waiting {
        case nil: return nil
        case .stage(let chunk): effect = .stage(chunk, discardingFirst: isStale)
        case .install(let chunk, let have):
            if foreignWaits { return nil }
            effect = .install(chunk, have: have, discardingFirst: isStale)
        case .reload(let chunk): effect = .reload(chunk, discardingFirst: isStale)
        }
        waiting = nil
        isStale = false
        isBusy = true
        return effect
    }

    mutating func finished() { isBusy = false }

    /// The store has closed: what was staged is lost.
    mutating func failed() {
        isBusy = false
        discard()
    }
}

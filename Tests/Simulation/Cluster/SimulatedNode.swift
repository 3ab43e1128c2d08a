import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// One node: its core, and what the shell around it would have: a writer, readers, loops, links, and the process's life.
final class SimulatedNode {
    let index: Int
    let name: Text
    let address: Text
    var disk: Disk
    var clock = WallClock()
    /// Counts processes; what was meant for an earlier one is dropped.
    var life = 0
    var isUp = false
    var pausedUntil: Microseconds = 0
    var core: NodeCore
    var inbox: [CoreEvent] = []
    var isTurnScheduled = false
    var effects: [CoreEffect] = []

    var writer: (any StoreWriter)?
    var opening: (held: WriterStart.Held?, renew: Bool)?
    var work: Work?
    var told: StoreEvent?
    var reads: [Int: Read] = [:]
    var readCount = 0
    var machineBoot = 0
    /// What it has stored it still has.
    var hasKeptDisk = true
    /// The store has been open in this life.
    var hasOpened = false

    var loops: [SimulatedLoop]
    var connections: [SessionID: Connection] = [:]
    var slots: UInt32 = 0
    /// Rooms in which the node is to write entries of a kind that the others don't know, as a newer build would.
    var unknownWrites: [Text] = []
    /// The process dies when it has carried out so many effects more.
    var effectsLeft: Int?
    var links: [LinkName: Int] = [:]
    var linkCount: UInt64 = 0

    /// What the writer has been given.
    enum Work {
        case commit(Batch)
        case prune(Pruning)
        case stage(SnapshotChunk, discardingFirst: Bool)
        case install(SnapshotChunk, have: VersionVector, discardingFirst: Bool)
        case reload(SnapshotChunk, discardingFirst: Bool)
    }

    struct Read {
        let request: ReadRequest
        var answer: ReadAnswer?
    }

    init(index: Int, disk: Disk, core: consuming NodeCore, loops: [SimulatedLoop]) {
        self.index = index
        name = Text("n\(index)")
        address = Text("n\(index):7000")
        self.disk = disk
        self.core = core
        self.loops = loops
    }

    /// All that a process loses when it ends.
    func forget(_ core: consuming NodeCore, loops: [SimulatedLoop]) {
        self.core = core
        inbox = []
        isTurnScheduled = false
        effects = []
        writer = nil
        hasOpened = false
        opening = nil
        work = nil
        told = nil
        reads = [:]
        self.loops = loops
        connections = [:]
        effectsLeft = nil
        unknownWrites = []
        links = [:]
    }
}

/// The number under which a node's shell knows a link.
typealias LinkName = UInt64

/// What a reader has found, to be handed over later.
enum ReadAnswer {
    case event(CoreEvent)
    /// Frames for one loop, and what the core is told.
    case frames(FrameBatch, loop: Int, CoreEvent)
    /// What a loop is told.
    case loop(LoopMessage, loop: Int)
}

import ConvergeTestSupport
import ConvergeGossip
import ConvergeNode
import ConvergeStorage

/// What a seed makes of a run, before anything happens in it.
///
/// Each seed takes some kinds of faults and leaves the others out, and turns the knobs of the cores to other places: small
/// limits meet what large ones hide (Groce et al.: "Swarm Testing", 2012).
struct Scenario {
    var seed: UInt64
    var generation: Generation
    var nodes: Int
    /// So many of the nodes, the first ones, write one database; the others have a store of their own.
    var sharing = 0
    /// How long reading all of a shared database takes at most, in microseconds.
    var longestOpening: UInt64 = 0
    /// How often a core's thread is held up, in hundredths of its turns, and for how many microseconds at most.
    var heldUp = 5
    var longestHold: UInt64 = 20_000
    /// How far clocks are off in the beginning at most, in milliseconds.
    var skew = 1_000
    var clients: Int
    /// How many clients run the library's own machines.
    var libraryClients = 0
    /// These speak the second generation of the protocol.
    var hasNewerLibrary = false
    /// How many speak the second generation of the protocol.
    var manyRoomsClients = 0
    var users: Int
    var rooms: Int
    var faults: Faults = .init()
    /// How long faults strike, and how long the cluster has after that to agree.
    var duration: Microseconds = .seconds(60)
    var patience: Microseconds = .seconds(45)
    /// The mean time between two faults, and between two things that a client does.
    var faultEvery: Microseconds = .milliseconds(1_500)
    var actEvery: Microseconds = .milliseconds(1_200)
    var sync: SyncMode = .full
    var loops = 1
    var saveBuffer = 256
    /// Milliseconds; 0 for ever.
    var retention: UInt64 = 0
    var elementsPerDocument = 1_000
    /// Of the writes to registers some are writes to maps instead.
    var hasMaps = false
    /// Bytes that a link carries in a second.
    var bandwidth: UInt64 = 20_000_000
    /// Microseconds one way.
    var delay: ClosedRange<UInt64> = 200...2_000
    /// Of a hundred segments so many are lost, and sent again.
    var loss = 0
    /// How many frames a socket holds, and how many may wait behind it for a client that is live.
    var socketFrames = 64
    var sendFrames = 256
    /// The most entries on a page of a resume, and on one for a slow client.
    var resumeLimit = 200
    var feedLimit = 128
    /// Some nodes are of a newer build now and then, and write entries of a kind that the others don't know.
    var hasNewerNodes = false
    /// Nodes fill their disks.
    var hasFullDisks = false
    /// Wall clocks are hours and years ahead for a while, and entries dated so come from nowhere; see `World+FarClocks`.
    var hasFarClocks = false
    /// Microseconds between the beginnings of two commits at least.
    var commitPace: Microseconds = 0
    /// Small bounds in the cores.
    var isTight = false
    /// Share of the vectors at which states are compared: one in so many.
    var comparesOneIn: UInt64 = 1
    /// How many of the newest entries of each log are not folded, and when an absent node loses its vote on that.
    var foldTail: UInt64 = 10_000
    var forgetAfter: UInt64 = 86_400_000
    var planted: PlantedFaults = []
    var plantedInStores = StoreFaults()

    enum Fault: Int, CaseIterable {
        case crash, machineCrash, emptyDisk, restoredDisk, clonedDisk, downgrade
        case refusedCommit, unknownCommit, syncFailed, slowDisk, outage, refusedOpen, slowReaders
        case cut, cutOneWay, cutSome, reset, resetOneSide, silence, slowLink, lateDials, stranger
        case clockJump, clockDrift
        case pause
        case redaction, connections
        /// A disk is as it was some time ago, and nothing shows it: the log is written twice from there.
        case rewoundDisk
        /// Of a database that nodes share: out of everybody's reach; as it was some time ago, as when a standby takes over;
        /// all its connections end; another process opens it under the node's name; a commit is on its way when its
        /// connection breaks, and arrives later.
        case databaseAway, failover, endedConnections, takenOver, lateCommit

        var name: String { "\(self)" }

        /// What the first generation draws, all in one stream: a kind that comes later is drawn in another.
        static let first = allCases.filter { $0.rawValue <= Fault.rewoundDisk.rawValue }
    }

    struct Faults {
        var weights = [Int](repeating: 0, count: Fault.allCases.count)

        var isEmpty: Bool { !weights.contains { $0 > 0 } }

        subscript(_ fault: Fault) -> Int {
            get { weights[fault.rawValue] }
            set { weights[fault.rawValue] = newValue }
        }
    }

    /// - Parameters:
    ///   - rewinds: disks are also set back without a trace, so that logs fork; nil for what the generation has.
    ///   - shared: nodes write one database; nil for what the generation has.
    ///   - fullDisks: disks have no room at times.
    init(
        seed: UInt64, nodes: Int? = nil, rewinds: Bool? = nil, shared: Bool? = nil, fullDisks: Bool = false,
        generation: Generation = .current
    ) {
        self.seed = seed
        self.generation = generation
        hasFullDisks = fullDisks
        let rewinds = rewinds ?? generation.rewinds(seed)
        var random = SplitMix64(seed, .scenario)
        let usual = [1, 2, 3, 3, 3, 4, 5]
        let count = random.pick(usual)
        self.nodes = nodes ?? count
        clients = 3 + random.below(6)
        users = 2 + random.below(4)
        rooms = 1 + random.below(3)
        for fault in Fault.first where random.chance(45) {
            faults[fault] = 1 + random.below(6)
        }
        // What costs a disk is rare: otherwise hardly anything would be left to check.
        faults[.rewoundDisk] = rewinds ? 1 : 0
        for fault in [Fault.emptyDisk, .restoredDisk, .clonedDisk, .downgrade, .syncFailed] {
            faults[fault] = min(faults[fault], 1)
        }
        faultEvery = .milliseconds(random.within(500...4_000))
        actEvery = .milliseconds(random.within(300...1_500))
        if random.chance(25) { sync = .normal }
        loops = 1 + random.below(2)
        if random.chance(20) { saveBuffer = 4 + random.below(12) }
        if random.chance(20) { retention = random.within(10_000...40_000) }
        if random.chance(15) { elementsPerDocument = 2 }
        if random.chance(20) { bandwidth = random.within(20_000...200_000) }
        let fastest = random.within(100...2_000)
        delay = fastest...(fastest + random.within(100...20_000))
        isTight = random.chance(35)
        // Small pieces take their time.
        if isTight { patience = .seconds(120) }
        if random.chance(60) {
            foldTail = random.within(0...40)
            let soon = random.within(5_000...30_000)
            if random.chance(60) { forgetAfter = soon }
        }
        turnLoopKnobs()
        manyRoomsClients = generation.manyRoomsClients(seed)
        hasNewerLibrary = generation.hasNewerLibrary(seed)
        hasMaps = generation.writesMaps(seed)
        if shared ?? generation.shares(seed) { shareDatabase() }
    }

    /// The same with writes to maps, too. Their choices come from a generator of their own.
    func withMaps() -> Scenario {
        var scenario = self
        scenario.hasMaps = true
        return scenario
    }

    /// The same with commits at a pace. Which one comes from a generator of its own.
    func withPace() -> Scenario {
        var scenario = self
        var random = SplitMix64(seed, .pace)
        scenario.commitPace = random.pick([500, 1_000, 5_000, 100_000])
        return scenario
    }

    /// The same run with clocks that are far off besides. Its choices come from a generator of their own.
    func withFarClocks() -> Scenario {
        var scenario = self
        scenario.hasFarClocks = true
        // What is too old goes by each node's own clock; and a disk that is another's has seen another's clock.
        scenario.retention = 0
        scenario.faults[.clonedDisk] = 0
        return scenario
    }

    private mutating func turnLoopKnobs() {
        var random = SplitMix64(seed, .feeds)
        if random.chance(60) { socketFrames = 1 + random.below(8) }
        if random.chance(60) { sendFrames = 1 + random.below(16) }
        if random.chance(70) { resumeLimit = 1 + random.below(12) }
        if random.chance(70) { feedLimit = 1 + random.below(8) }
        hasNewerNodes = random.chance(40)
        var library = SplitMix64(seed, .library)
        if library.chance(30) { libraryClients = 1 + library.below(2) }
    }

    /// The settings in a few words: the head of a trace.
    var words: String {
        let kinds = Fault.allCases.filter { faults[$0] > 0 }.map { "\($0.name) \(faults[$0])" }
        return
            "seed \(seed) of generation \(generation.rawValue): \(nodes) nodes, "
            + (sharing > 0 ? "\(sharing) of them on one database, " : "")
            + "\(clients) clients, \(users) users, \(rooms) rooms, sync \(sync.rawValue), "
            + "\(loops) loops, save buffer \(saveBuffer), retention \(retention) ms, fold tail \(foldTail), "
            + "forgotten after \(forgetAfter) ms, \(bandwidth) bytes a second, delay \(delay) µs"
            + ", socket \(socketFrames) and \(sendFrames) frames, pages of \(resumeLimit) and \(feedLimit)"
            + (libraryClients > 0 ? ", \(libraryClients) of the \(hasNewerLibrary ? "newer " : "")library" : "")
            + (manyRoomsClients > 0 ? ", \(manyRoomsClients) in many rooms" : "") + (hasMaps ? ", maps" : "")
            + (hasNewerNodes ? ", newer nodes" : "")
            + (hasFullDisks ? ", full disks" : "")
            + (isTight ? ", tight bounds" : "") + (commitPace > 0 ? ", a commit in \(commitPace) µs" : "")
            + (hasFarClocks ? ", far clocks" : "")
            + "; faults: " + kinds.joined(separator: ", ")
    }

    /// A healthy cluster with nothing going wrong.
    static func healthy(seed: UInt64, nodes: Int) -> Scenario {
        var scenario = Scenario(seed: seed, nodes: nodes, generation: .first)
        scenario.faults = Faults()
        scenario.sync = .full
        scenario.retention = 0
        scenario.saveBuffer = 4_096
        scenario.bandwidth = 20_000_000
        scenario.delay = 200...1_000
        scenario.isTight = false
        scenario.foldTail = 10_000
        scenario.forgetAfter = 86_400_000
        scenario.elementsPerDocument = 1_000
        scenario.socketFrames = 64
        scenario.sendFrames = 256
        scenario.resumeLimit = 200
        scenario.feedLimit = 128
        scenario.hasNewerNodes = false
        scenario.hasFullDisks = false
        scenario.libraryClients = 0
        return scenario
    }
}

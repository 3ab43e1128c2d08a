import ConvergeTestSupport
import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// A whole cluster in virtual time: nodes, disks, links, clients, and what goes wrong with them, all from one seed.
///
/// One event after the other is taken from the queue; nothing else happens. What each kind of event means is in the
/// extensions: `World+Process`, `+Storage`, `+Delivery`, `+Network`, `+Clients`, `+Faults`, `+Verdict`.
final class World {
    let scenario: Scenario
    private(set) var now: Microseconds = 0
    var queue = EventQueue()
    var trace = Trace()

    var nodes: [SimulatedNode] = []
    var disks: [Disk] = []
    var links: [Link] = []
    var dials: [Dial] = []
    var wires: Wires
    var clients: [Client] = []
    var connections: [Connection] = []
    /// What faults have to be taken back.
    var mending: [Mending] = []

    var ledger = Ledger()
    var states = StateChecks()
    var verdict = Verdict()
    var violations: [Violation] = []
    var counts = Counts()

    var faultChoices: SplitMix64
    var fullChoices: SplitMix64
    var networkChoices: SplitMix64
    var diskChoices: SplitMix64
    var clientChoices: SplitMix64
    /// Which writes to registers are writes to maps instead.
    var mapChoices: SplitMix64
    var clockChoices: SplitMix64
    var scheduling: SplitMix64
    var readerChoices: SplitMix64
    var identities: SplitMix64
    var feedChoices: SplitMix64
    var far = FarClocks()
    var sharingChoices: SplitMix64
    /// When sessions of the second generation are told where they stand.
    var cursorChoices: SplitMix64

    /// What the first nodes of the scenario write together, and what a standby of it has.
    let database: SharedMemoryDatabase
    var standby: SharedMemoryDatabase.Standby?
    /// What it had and what it has had since a standby took its place.
    var failovers: [(before: VersionVector, after: VersionVector)] = []

    /// Faults are over.
    var isHealed = false
    var healedAt: Microseconds = 0
    var isOver = false
    /// Somebody has broken the protocol between nodes on purpose.
    var isNonsenseSent = false
    /// Until then dialling takes long.
    var lateDialsUntil: Microseconds = 0

    /// What it costs, where somebody wants to know.
    var measures: Measures?
    /// At the heal: entries that nodes lacked of each other's, entries there were, bytes sent, ranges asked for.
    var missingAtHeal = 0
    var entriesAtHeal = 0
    var bytesAtHeal = 0
    var wantsAtHeal = 0
    /// From the heal until all vectors were equal first.
    var agreedAfter: Microseconds = 0

    // What is asked in the end: see `World+Verdict`.
    var watchers: [Client] = []
    var questions: [Question] = []
    var answers: [String: ShownFrame] = [:]
    var askedAt = VersionVector()
    var isAsking = true
    var lastProblems: [Problem] = []

    struct Counts {
        var events = 0
        var faults = [Int](repeating: 0, count: Scenario.Fault.allCases.count)
        var entries = 0
        var acknowledged = 0
        var duplicates = 0
        var refused = 0
        var deliveries = 0
        var resumes = 0
        var resumesNotRecovered = 0
        /// Pages that clients were fed, and how often one was taken off the live stream.
        var pages = 0
        var takenOff = 0
        var closedAsSlow = 0
        var overtaken = 0
        var compared = 0
        var reloads = 0
        var fullDisks = 0
        var failovers = 0
        /// Documents that a resume named and its client read.
        var namedReads = 0
        var frames = 0
        var bytes = 0
        var virtual: Microseconds = 0
        /// What agreeing cost after the heal, in hundredths of what it may: bytes, and ranges asked for.
        var healBytes = 0
        var healRounds = 0
        /// From the heal until all agreed.
        var convergence: Microseconds = 0

        mutating func add(_ other: Counts) {
            events += other.events
            for index in faults.indices { faults[index] += other.faults[index] }
            entries += other.entries
            acknowledged += other.acknowledged
            duplicates += other.duplicates
            refused += other.refused
            deliveries += other.deliveries
            resumes += other.resumes
            resumesNotRecovered += other.resumesNotRecovered
            pages += other.pages
            takenOff += other.takenOff
            closedAsSlow += other.closedAsSlow
            overtaken += other.overtaken
            compared += other.compared
            reloads += other.reloads
            fullDisks += other.fullDisks
            failovers += other.failovers
            namedReads += other.namedReads
            frames += other.frames
            bytes += other.bytes
            virtual += other.virtual
            healBytes = max(healBytes, other.healBytes)
            healRounds = max(healRounds, other.healRounds)
            convergence = max(convergence, other.convergence)
        }
    }

    init(_ scenario: Scenario) {
        self.scenario = scenario
        let seed = scenario.seed
        faultChoices = SplitMix64(seed, .faults)
        fullChoices = SplitMix64(seed, .fullDisks)
        networkChoices = SplitMix64(seed, .network)
        diskChoices = SplitMix64(seed, .disks)
        clientChoices = SplitMix64(seed, .clients)
        mapChoices = SplitMix64(seed, .maps)
        clockChoices = SplitMix64(seed, .clocks)
        scheduling = SplitMix64(seed, .scheduling)
        readerChoices = SplitMix64(seed, .readers)
        identities = SplitMix64(seed, .identities)
        feedChoices = SplitMix64(seed, .feeds)
        far.choices = SplitMix64(seed, .farClocks)
        sharingChoices = SplitMix64(seed &+ 1, .sharing)
        cursorChoices = SplitMix64(seed &+ 1_000_000, .manyRooms)
        database = SharedMemoryDatabase(planted: scenario.plantedInStores)
        wires = Wires(nodes: scenario.nodes)
        for index in 0..<scenario.nodes {
            let node = SimulatedNode(
                index: index, disk: newDisk(of: index), core: makeCore(index, process: 0),
                loops: makeLoops())
            node.clock.skew = Int64(clockChoices.below(2 * scenario.skew)) - Int64(scenario.skew)
            nodes.append(node)
            schedule(.starts(index), after: scheduling.within(0...500_000))
        }
        for index in 0..<scenario.clients {
            let room = roomNames[clientChoices.below(scenario.rooms)]
            let client = Client(index: index, user: userNames[index % scenario.users], room: room)
            clients.append(client)
            schedule(.clientActs(index), after: clientChoices.within(0...2_000_000))
        }
        addLibraryClients()
        addManyRoomsClients()
        if !scenario.faults.isEmpty { schedule(.strikes, after: scheduling.within(1_000...3_000_000)) }
        if scenario.hasFullDisks { schedule(.fills, after: fullChoices.within(1_000...8_000_000)) }
        schedule(.heals, after: scenario.duration)
        beginFarClocks()
    }

    let roomNames: [Text] = ["red", "green", "blue", "white"]
    let documentNames: [Text] = ["d", "e"]
    let userNames: [Text] = ["ann", "bob", "carl", "dora", "eve", "fay", "gus"]

    /// Runs until all agree, something is wrong, or patience is at its end.
    func run() {
        while !isOver, violations.isEmpty, let (time, happening) = queue.next() {
            now = time
            counts.events += 1
            handle(happening)
        }
        counts.virtual = now
        counts.entries = ledger.entryCount
    }

    private func handle(_ happening: Happening) {
        switch happening {
        case .turn(let node, let life): if isLive(node, life) { turn(nodes[node]) }
        case .tick(let node, let life): if isLive(node, life) { tick(nodes[node]) }
        case .storeOpens(let node, let life): if isLive(node, life) { storeOpens(nodes[node]) }
        case .storeWorks(let node, let life): if isLive(node, life) { storeWorks(nodes[node]) }
        case .storeTells(let node, let life): if isLive(node, life) { storeTells(nodes[node]) }
        case .readerReads(let node, let life, let read): if isLive(node, life) { readerReads(nodes[node], read) }
        case .readerAnswers(let node, let life, let read): if isLive(node, life) { readerAnswers(nodes[node], read) }
        case .loopWakes(let node, let life, let loop): if isLive(node, life) { loopWakes(nodes[node], loop) }
        case .clientActs(let client): act(clients[client])
        case .clientReads(let connection): read(connections[connection])
        case .connectionLost(let connection): lose(connections[connection])
        case .feedRetries(let connection): retryFeed(connections[connection])
        case .dialEnds(let dial): endDial(dial)
        case .transmits(let link, let side): transmit(links[link], side)
        case .arrives(let link, let side): arrive(links[link], side)
        case .linkEnds(let link, let side): endLink(links[link], side)
        case .linkTimesOut(let link): reset(links[link], sides: [0, 1])
        case .starts(let node): start(nodes[node])
        case .strikes: strike()
        case .fills: fillDisk()
        case .mends(let index): mend(index)
        case .heals: heal()
        case .cutsOff(let node): cutOff(node)
        case .falls(let node): nodes[node].pausedUntil = scenario.duration
        case .commitsArrive: commitsArrive()
        case .looks: look()
        case .clockGoesFar: clockGoesFar()
        case .clockComesBack(let node): clockComesBack(nodes[node])
        case .futureArrives: futureArrives()
        }
    }

    private func isLive(_ node: Int, _ life: Int) -> Bool { nodes[node].life == life && nodes[node].isUp }

    func schedule(_ happening: Happening, after delay: Microseconds) {
        queue.schedule(happening, at: now + delay)
    }

    func violate(_ rule: Violation.Rule, _ node: Int, _ words: String) {
        let violation = Violation(rule: rule, time: now, node: node, words: words)
        trace.note(now, node, "VIOLATION", 0, 0, violation.description)
        violations.append(violation)
    }
}

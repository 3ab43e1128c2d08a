/// One TCP connection between two nodes: in each direction bytes come in order, or not at all.
///
/// Frames wait to be sent as long as the wire is busy, live ones before bulk; then they are in flight. A cut does not lose
/// them: TCP sends again, and they arrive when the cut is over, unless a side gives up before. A reset loses what is in
/// flight. Silence takes everything without a word: the side that sends can't tell.
final class Link {
    let index: Int
    /// The dialler is side 0.
    let nodes: [Int]
    let lives: [Int]
    let names: [LinkName]
    var ends = [End(), End()]
    /// It is silent, and will be given up.
    var isTimingOut = false
    let openedAt: Microseconds

    /// One side, and what goes from it to the other.
    struct End {
        /// The node's core may use it.
        var isOpen = true
        var live: [[UInt8]] = []
        var bulk: [[UInt8]] = []
        /// How much of the queues is sent: they are emptied when all is.
        var liveSent = 0
        var bulkSent = 0
        var busyUntil: Microseconds = 0
        var isTransmitting = false
        var flight: [(arrives: Microseconds, frame: [UInt8])] = []
        var flown = 0
        var isArriving = false
        var lastArrival: Microseconds = 0
        /// What is sent from here is swallowed.
        var isSilent = false
        /// Closed by this side: the other hears of it behind what is in flight.
        var closes = false
        var waitingBytes = 0
    }

    init(index: Int, nodes: [Int], lives: [Int], names: [LinkName], openedAt: Microseconds) {
        self.openedAt = openedAt
        self.index = index
        self.nodes = nodes
        self.lives = lives
        self.names = names
    }
}

/// An attempt to reach an address.
struct Dial {
    let from: Int
    let life: Int
    let address: String
}

/// Which node can reach which, and how.
struct Wires {
    private var blocked: [Bool]
    private var slow: [UInt64]
    private let nodes: Int

    init(nodes: Int) {
        self.nodes = nodes
        blocked = Array(repeating: false, count: nodes * nodes)
        slow = Array(repeating: 0, count: nodes * nodes)
    }

    func isCut(_ from: Int, _ to: Int) -> Bool { blocked[from * nodes + to] }
    func extraDelay(_ from: Int, _ to: Int) -> UInt64 { slow[from * nodes + to] }
    mutating func cut(_ from: Int, _ to: Int, _ isCut: Bool) { blocked[from * nodes + to] = isCut }
    mutating func slow(_ from: Int, _ to: Int, _ delay: UInt64) { slow[from * nodes + to] = delay }

    mutating func mendAll() {
        for index in blocked.indices { blocked[index] = false }
        for index in slow.indices { slow[index] = 0 }
    }
}

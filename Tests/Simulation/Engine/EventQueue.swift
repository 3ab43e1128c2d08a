/// What will happen when: a heap ordered by (time, order of scheduling), so that nothing is left to chance.
struct EventQueue {
    struct Scheduled {
        let time: Microseconds
        let sequence: UInt64
        let happening: Happening

        static func < (a: Scheduled, b: Scheduled) -> Bool {
            a.time == b.time ? a.sequence < b.sequence : a.time < b.time
        }
    }

    private var heap: [Scheduled] = []
    private var sequence: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var nextTime: Microseconds? { heap.first?.time }

    mutating func schedule(_ happening: Happening, at time: Microseconds) {
        sequence += 1
        heap.append(Scheduled(time: time, sequence: sequence, happening: happening))
        var at = heap.count - 1
        while at > 0 {
            let parent = (at - 1) / 2
            guard heap[at] < heap[parent] else { break }
            heap.swapAt(at, parent)
            at = parent
        }
    }

    mutating func next() -> (time: Microseconds, happening: Happening)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            var at = 0
            while true {
                var least = at
                for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child] < heap[least] {
                    least = child
                }
                if least == at { break }
                heap.swapAt(at, least)
                at = least
            }
        }
        return (first.time, first.happening)
    }
}

/// Virtual time since the beginning of a run.
typealias Microseconds = UInt64

extension Microseconds {
    static func milliseconds(_ count: UInt64) -> Microseconds { count * 1_000 }
    static func seconds(_ count: UInt64) -> Microseconds { count * 1_000_000 }
}

/// Everything that is scheduled. `life` counts a node's processes: what was scheduled for one that is gone is dropped.
enum Happening {
    /// The core of a node takes what has come for it.
    case turn(Int, life: Int)
    case tick(Int, life: Int)
    case storeOpens(Int, life: Int)
    /// The batch or the pruning on its way reaches the disk.
    case storeWorks(Int, life: Int)
    /// What became of it reaches the core.
    case storeTells(Int, life: Int)
    case readerReads(Int, life: Int, read: Int)
    case readerAnswers(Int, life: Int, read: Int)
    case loopWakes(Int, life: Int, loop: Int)
    case clientActs(Int)
    /// Frames on their way to a client arrive.
    case clientReads(Int)
    /// The node notices that a client's connection is gone.
    case connectionLost(Int)
    case dialEnds(Int)
    case transmits(link: Int, side: Int)
    case arrives(link: Int, side: Int)
    /// Pages that could not be read for this connection are asked for again.
    case feedRetries(Int)
    case linkEnds(link: Int, side: Int)
    /// The system gives a link up: what was sent is not acknowledged.
    case linkTimesOut(Int)
    case starts(Int)
    /// The next fault.
    case strikes
    /// A node fills its disk.
    case fills
    /// A fault that lasts is over.
    case mends(Int)
    case heals
    /// For figures: a node is cut off from all others, or its process stands still, until the heal.
    case cutsOff(Int)
    case falls(Int)
    /// Commits that were on their way to a shared database when their connection broke.
    case commitsArrive
    case looks
    /// A wall clock is set far off, or right again; see `World+FarClocks`.
    case clockGoesFar
    case clockComesBack(Int)
    /// An entry that no node wrote comes over a link, dated far ahead.
    case futureArrives
}

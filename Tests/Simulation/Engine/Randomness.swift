import ConvergeTestSupport

extension SplitMix64 {
    mutating func within(_ range: ClosedRange<UInt64>) -> UInt64 {
        range.lowerBound &+ next().multipliedFullWidth(by: range.upperBound &- range.lowerBound &+ 1).high
    }

    mutating func pick<Element>(_ from: [Element]) -> Element { from[below(from.count)] }

    /// The index of a weight, as often as the weight says. Some weight must not be 0.
    mutating func weighted(_ weights: [Int]) -> Int {
        var rest = below(weights.reduce(0, +))
        for (index, weight) in weights.enumerated() {
            rest -= weight
            if rest < 0 { return index }
        }
        return weights.count - 1
    }
}

/// What random choices are about. Each has a generator of its own, so that one choice more in one of them does not shift
/// all others: a run stays like itself when a little is changed.
enum Concern: UInt64 {
    case scenario = 1
    case faults, network, disks, clients, clocks, scheduling, readers, identities, feeds, library
    case rewinds, sharing
    case fullDisks = 40
    case farClocks = 101
    case maps = 201
    case manyRooms
    case pace = 211
}

extension SplitMix64 {
    init(_ seed: UInt64, _ concern: Concern) {
        var mixer = SplitMix64(seed: seed &* 0xD134_2543_DE82_EF95 &+ concern.rawValue)
        self.init(seed: mixer.next())
    }
}

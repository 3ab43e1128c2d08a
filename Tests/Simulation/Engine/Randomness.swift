/// A seeded generator: the same seed gives the same numbers everywhere.
///
/// Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators" (2014).
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// 0..<bound; 0 where the bound is 0 or less.
    mutating func below(_ bound: Int) -> Int {
        bound < 1 ? 0 : Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    mutating func within(_ range: ClosedRange<UInt64>) -> UInt64 {
        range.lowerBound &+ next().multipliedFullWidth(by: range.upperBound &- range.lowerBound &+ 1).high
    }

    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

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
    case faults, network, disks, clients, clocks, scheduling, readers, identities, feeds
}

extension SplitMix64 {
    init(_ seed: UInt64, _ concern: Concern) {
        var mixer = SplitMix64(seed: seed &* 0xD134_2543_DE82_EF95 &+ concern.rawValue)
        self.init(seed: mixer.next())
    }
}

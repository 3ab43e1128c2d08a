/// Randomness for tests, the same in every run: the same seed gives the same numbers everywhere.
///
/// Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators" (2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
    @usableFromInline var state: UInt64

    @inlinable
    public init(seed: UInt64) { state = seed }

    @inlinable
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// 0..<bound; 0 where the bound is 0 or less.
    @inlinable
    public mutating func below(_ bound: Int) -> Int {
        bound < 1 ? 0 : Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// True in so many of a hundred cases.
    @inlinable
    public mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    /// True once in `count` times.
    @inlinable
    public mutating func once(in count: Int) -> Bool { below(count) == 0 }
}

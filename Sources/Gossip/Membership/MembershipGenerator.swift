/// The randomness of one membership, from its seed: the same seed gives the same choices everywhere.
///
/// Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators" (2014).
struct MembershipGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number from 0 up to and without `bound`; 0 where that is 0.
    mutating func below(_ bound: UInt64) -> UInt64 {
        bound == 0 ? 0 : UInt64.random(in: 0..<bound, using: &self)
    }
}

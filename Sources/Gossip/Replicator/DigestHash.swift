/// A 64-bit hash of numbers: the same in every process, good enough to tell that two digests differ.
///
/// Not for what an attacker may choose: the nodes of a cluster trust each other, and a collision only delays a repair
/// until the next change. The mixing step is the finalizer of MurmurHash3 (Appleby, 2011).
struct DigestHash {
    private(set) var value: UInt64 = 0x9E37_79B9_7F4A_7C15

    mutating func add(_ number: UInt64) {
        var mixed = value ^ number
        mixed = (mixed ^ mixed >> 33) &* 0xFF51_AFD7_ED55_8CCD
        mixed = (mixed ^ mixed >> 33) &* 0xC4CE_B9FE_1A85_EC53
        value = (mixed ^ mixed >> 33) &+ 0x9E37_79B9_7F4A_7C15
    }
}

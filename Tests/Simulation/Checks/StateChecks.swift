import ConvergeCRDT

/// State is a function of the version vector: two disks that cover the same hold the same, at every step of a run.
///
/// A fingerprint of a whole store costs as much as the store is large, so it is taken at some vectors only; which, the
/// vector itself says, so that every disk that comes by there is looked at.
struct StateChecks {
    private var fingerprints: [VersionVector: (fingerprint: UInt64, disk: Int)] = [:]

    /// Whether states are compared at this vector: one in `share`.
    static func isCompared(_ vector: VersionVector, oneIn share: UInt64) -> Bool {
        var mix: UInt64 = 0x9E37_79B9_7F4A_7C15
        for dot in vector.components {
            mix = (mix ^ dot.replica.rawValue) &* 0xBF58_476D_1CE4_E5B9
            mix = (mix ^ dot.seq ^ mix >> 31) &* 0x94D0_49BB_1331_11EB
        }
        return (mix >> 17) % share == 0
    }

    /// Takes what a disk holds at a vector; the disk that held something else there, if there was one.
    mutating func compare(_ vector: VersionVector, _ fingerprint: UInt64, disk: Int) -> Int? {
        guard let known = fingerprints[vector] else {
            fingerprints[vector] = (fingerprint, disk)
            return nil
        }
        return known.fingerprint == fingerprint ? nil : known.disk
    }
}

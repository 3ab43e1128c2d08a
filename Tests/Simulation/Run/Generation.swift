import ConvergeTestSupport

extension Scenario {
    /// The rules by which a seed makes a run.
    ///
    /// A seed that failed is kept, and is worth something only as long as it makes the same run. So what seeds draw changes
    /// by a new generation alone, which draws from streams of its own (`Concern`) and leaves all others as they were; a kept
    /// seed names the generation that it ran in.
    enum Generation: Int, CaseIterable, Sendable {
        /// Every node has a store of its own. Disks are set back without a trace only where that is asked for.
        case first = 1
        /// In a fifth of the seeds disks are also set back without a trace.
        case second
        /// In a third of the seeds nodes write one database.
        case third

        /// What a seed is run in that names none.
        static let current = Generation.third

        func shares(_ seed: UInt64) -> Bool { rawValue >= Self.third.rawValue && seed % 3 == 0 }

        func rewinds(_ seed: UInt64) -> Bool {
            guard self != .first else { return false }
            var random = SplitMix64(seed, .rewinds)
            return random.chance(20)
        }
    }
}

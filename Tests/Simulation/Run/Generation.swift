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
        /// In half of the seeds there are clients of the second generation of the protocol, in half those of the library are,
        /// and in a third there are writes to maps.
        case fourth

        /// What a seed is run in that names none.
        static let current = Generation.fourth

        func shares(_ seed: UInt64) -> Bool { rawValue >= Self.third.rawValue && seed % 3 == 0 }

        func rewinds(_ seed: UInt64) -> Bool {
            guard self != .first else { return false }
            var random = SplitMix64(seed, .rewinds)
            return random.chance(20)
        }

        /// How many clients speak the second generation of the protocol.
        func manyRoomsClients(_ seed: UInt64) -> Int {
            guard rawValue >= Self.fourth.rawValue else { return 0 }
            var random = SplitMix64(seed, .manyRooms)
            return random.chance(50) ? 1 + random.below(3) : 0
        }

        /// Whether the clients of the library speak it.
        func hasNewerLibrary(_ seed: UInt64) -> Bool { rawValue >= Self.fourth.rawValue && seed % 2 == 1 }

        func writesMaps(_ seed: UInt64) -> Bool { rawValue >= Self.fourth.rawValue && seed % 3 == 1 }
    }
}

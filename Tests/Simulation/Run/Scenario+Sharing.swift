import ConvergeTestSupport

extension Scenario.Fault {
    /// What only a database that nodes share has.
    static let ofDatabase: [Scenario.Fault] = [.databaseAway, .failover, .endedConnections, .takenOver, .lateCommit]
}

extension Scenario {
    /// Most nodes write one database; what a seed draws otherwise stays as it is. Faults of one node's disk strike a node
    /// that shares in another way: see `World+Sharing`.
    mutating func shareDatabase() {
        var random = SplitMix64(seed, .sharing)
        sharing = nodes
        if nodes > 2, random.chance(25) { sharing = 2 + random.below(nodes - 2) }
        // A fork is mended by taking over another's state, which a database of several nodes refuses.
        if generation.rawValue >= Generation.third.rawValue, sharing < nodes { faults[.rewoundDisk] = 0 }
        for fault in Fault.ofDatabase where random.chance(50) { faults[fault] = 1 + random.below(5) }
        faults[.failover] = min(faults[.failover], 1)
        longestOpening = random.chance(60) ? random.within(1_000...50_000) : random.within(50_000...1_500_000)
        if random.chance(40) { skew = 10_000 }
        // The database is a way from node to node, so links alone matter less: they are away more often.
        if random.chance(50) { faults[.cut] = max(faults[.cut], 3) }
        if random.chance(30) { faults[.slowLink] = max(faults[.slowLink], 3) }
    }
}

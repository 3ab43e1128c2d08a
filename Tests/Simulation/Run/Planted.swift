import ConvergeGossip

/// The mistakes that can be planted in the cores and the store: each must be found, or the simulation is blind to it.
struct Planted: Sendable {
    let name: String
    var needsRewinds: Bool {
        ["clonedIdentityKept", "uncomparedJoined", "rangesByPosition", "ownCursorTrusted", "forkJoined"].contains(name)
    }
    var needsFullDisks: Bool { name == "readsRefused" }
    var needsFarClocks: Bool { name == "futureTaken" || name == "attendanceIgnoresClock" }
    /// It is one of nodes that write one database, or shows soonest there.
    var needsDatabase = false
    /// What it must be found by, where it breaks several promises; nil for any.
    var rule: Violation.Rule?
    /// Plants it.
    let plant: @Sendable (inout Scenario) -> Void

    struct Finding {
        let seeds: Int
        let seed: UInt64
        let violation: Violation
    }

    /// Runs one seed after the other until something is violated.
    func search(from: UInt64 = 1, limit: UInt64 = 500) -> Finding? {
        for seed in from..<(from + limit) {
            var scenario = Scenario(
                seed: seed, rewinds: needsRewinds, shared: needsDatabase, fullDisks: needsFullDisks)
            if needsFarClocks { scenario = scenario.withFarClocks() }
            plant(&scenario)
            if let violation = Runner.run(scenario).violations.first, rule.map({ $0 == violation.rule }) ?? true {
                // What is wrong without it, too, is no finding.
                var clean = scenario
                clean.planted = []
                clean.plantedInStores = .init()
                guard Runner.run(clean).violations.isEmpty else { continue }
                return Finding(seeds: Int(seed - from) + 1, seed: seed, violation: violation)
            }
        }
        return nil
    }

    static let all: [Planted] = cores + stores + databases
}

extension Planted {
    private static let cores: [Planted] = [
        ("deliveryWithoutDependencies", .deliveryWithoutDependencies),
        ("reusedSequence", .reusedSequence),
        ("noThirdNodeRepair", .noThirdNodeRepair),
        ("logByLogRepair", .logByLogRepair),
        ("clockIgnoresAfter", .clockIgnoresAfter),
        ("clockIgnoresPeers", .clockIgnoresPeers),
        ("keptAfterFailure", .keptAfterFailure),
        ("unknownTakenAsFailed", .unknownTakenAsFailed),
        ("readsRefused", .readsRefused),
        ("clonedIdentityKept", .clonedIdentityKept),
        ("removeByElement", .removeByElement),
        ("countersAsIncrements", .countersAsIncrements),
        ("observedRemoveRegister", .observedRemoveRegister),
        ("foldedEarly", .foldedEarly),
        ("idsDifferForKey", .idsDifferForKey),
        ("attendanceDecidedLocally", .attendanceDecidedLocally),
        ("oneCursorForAllRooms", .oneCursorForAllRooms),
        ("cursorAdvancedByHistory", .cursorAdvancedByHistory),
        ("shownBeforeStored", .shownBeforeStored), ("shownWithCommit", .shownWithCommit),
        ("overflowForgotten", .overflowForgotten),
        ("unknownKindDropped", .unknownKindDropped),
        ("redactionForgotten", .redactionForgotten),
        ("presenceNotCleared", .presenceNotCleared),
        ("presenceDeltaAnywhere", .presenceDeltaAnywhere),
        ("faultyStillPresent", .faultyStillPresent),
        ("noRefutation", .noRefutation),
        ("dialGivenUp", .dialGivenUp),
        ("neverSuspected", .neverSuspected),
        ("uncomparedJoined", .uncomparedJoined),
        ("fedEventForgotten", .fedEventForgotten),
        ("standingTakenLate", .standingTakenLate), ("baseLeftOut", .baseLeftOut),
        ("latePageTaken", .latePageTaken), ("heldFrameDropped", .heldFrameDropped),
        ("feedsMixed", .feedsMixed), ("overtakenStays", .overtakenStays),
        ("futureTaken", .futureTaken),
        ("attendanceIgnoresClock", .attendanceIgnoresClock),
    ].map { (name: String, fault: PlantedFaults) in Planted(name: name) { $0.planted.insert(fault) } }
}

extension Planted {
    private static let stores: [Planted] = [
        Planted(name: "twinKept") { $0.plantedInStores.keepsTwins = true },
        Planted(name: "unsentDocumentEmptied") { $0.plantedInStores.emptiesUnsent = true },
        Planted(name: "snapshotByChunk") { $0.plantedInStores.installsByChunk = true },
        Planted(name: "snapshotWithoutContext") { $0.plantedInStores.ignoresSnapshotContext = true },
        Planted(name: "unknownKindFolded") { $0.plantedInStores.foldsUnknownKinds = true },
        Planted(name: "lostChunk") { $0.plantedInStores.dropsChunk = true },
        Planted(name: "forkJoined") { $0.plantedInStores.joinsForks = true },
        Planted(name: "rangesByPosition") { $0.plantedInStores.rangesByPosition = true },
    ]
}

extension Planted {
    private static let databases: [Planted] = [
        Planted(name: "readBeyondApplied", needsDatabase: true, rule: .after) { $0.planted.insert(.readBeyondApplied) },
        Planted(name: "namedBeyondApplied", needsDatabase: true, rule: .documents) {
            $0.planted.insert(.readBeyondApplied)
        },
        Planted(name: "pagedBeyondApplied", needsDatabase: true, rule: .resume) {
            $0.planted.insert(.readBeyondApplied)
        },
        // Where nodes start all the time, others write what they have not shown yet, and threads are held up, so that a resume
        // and the word that the store is open come in one turn.
        Planted(name: "handedOutByOpening", needsDatabase: true) {
            $0.planted.insert(.handedOutByOpening)
            $0.faults[.crash] = 6
            $0.faults[.refusedOpen] = 6
            $0.heldUp = 80
            $0.longestHold = 400_000
            $0.faultEvery = .milliseconds(500)
            $0.actEvery = .milliseconds(300)
        },
        Planted(name: "pagesBeforeOpening", needsDatabase: true) { $0.planted.insert(.pagesBeforeOpening) },
        Planted(name: "ownCursorTrusted") { $0.planted.insert(.ownCursorTrusted) },
        Planted(name: "handedOutStays", needsDatabase: true) {
            $0.planted.insert(.handedOutStays)
            $0.faults[.failover] = 1
        },
        Planted(name: "epochIgnored", needsDatabase: true) { $0.plantedInStores.ignoresEpoch = true },
        Planted(name: "effectsRepeated", needsDatabase: true) { $0.plantedInStores.repeatsEffects = true },
    ]
}

import ConvergeGossip
import Dispatch
import Foundation
import Synchronization

/// The command: see scripts/simulate.sh.
struct Simulate {
    private var seeds: UInt64 = 500
    private var from: UInt64 = 1
    private var nodes: Int?
    private var minutes: Double?
    private var mode = Mode.runs
    private var lines = 60
    private var rewinds: Bool?
    private var shared: Bool?
    private var generation = Scenario.Generation.current
    private var fullDisks = false
    private var farClocks = false
    private var maps = false
    private var paced = false

    private enum Mode {
        case runs
        case trace(UInt64)
        case plant(String)
        case figures
        case hash(UInt64)
    }

    static let usage = """
        simulate [--seeds N] [--from S] [--nodes N] [--minutes M]   runs, on all cores
        … --rewinds                                                 with disks set back so that logs fork
        … --shared                                                  with nodes that write one database
        … --generation G                                            by the rules of an earlier generation of seeds
        … --full-disks                                              with disks that have no room at times
        … --maps                                                    with documents of all kinds
        … --paced                                                   with commits at a pace
        … --far-clocks                                              with wall clocks that are hours and years ahead
        simulate --trace SEED [--nodes N] [--lines N]               one run, told from the beginning
        simulate --hash SEED [--nodes N]                            the hash of one run's trace
        simulate --plant NAME|all                                   how many seeds it takes to find a planted fault
        simulate --figures                                          what a cluster costs
        """

    /// Nil where the arguments are not understood.
    init?(_ arguments: [String]) {
        var rest = arguments.dropFirst()
        while let option = rest.popFirst() {
            if option == "--figures" {
                mode = .figures
                continue
            }
            if option == "--rewinds" {
                rewinds = true
                continue
            }
            if option == "--full-disks" {
                fullDisks = true
                continue
            }
            if option == "--shared" {
                shared = true
                continue
            }
            if option == "--far-clocks" {
                farClocks = true
                continue
            }
            if option == "--paced" {
                paced = true
                continue
            }
            if option == "--maps" {
                maps = true
                continue
            }
            guard let value = rest.popFirst() else { return nil }
            switch option {
            case "--seeds":
                guard let number = UInt64(value) else { return nil }
                seeds = number
            case "--from":
                guard let number = UInt64(value) else { return nil }
                from = number
            case "--nodes":
                guard let number = Int(value), number > 0 else { return nil }
                nodes = number
            case "--minutes":
                guard let number = Double(value) else { return nil }
                minutes = number
            case "--lines":
                guard let number = Int(value) else { return nil }
                lines = number
            case "--trace":
                guard let seed = UInt64(value) else { return nil }
                mode = .trace(seed)
            case "--hash":
                guard let seed = UInt64(value) else { return nil }
                mode = .hash(seed)
            case "--generation":
                guard let number = Int(value), let known = Scenario.Generation(rawValue: number) else { return nil }
                generation = known
            case "--plant": mode = .plant(value)
            default: return nil
            }
        }
    }

    private func scenario(_ seed: UInt64) -> Scenario {
        var scenario = Scenario(
            seed: seed, nodes: nodes, rewinds: rewinds, shared: shared ?? (farClocks ? false : nil),
            fullDisks: fullDisks, generation: generation)
        if maps { scenario = scenario.withMaps() }
        if paced { scenario = scenario.withPace() }
        return farClocks ? scenario.withFarClocks() : scenario
    }

    func run() -> Int32 {
        switch mode {
        case .runs: runAll()
        case .trace(let seed): tell(seed)
        case .hash(let seed): hash(seed)
        case .plant(let name): plant(name)
        case .figures: figures()
        }
    }

    // MARK: Runs

    private func runAll() -> Int32 {
        let cores = max(1, ProcessInfo.processInfo.activeProcessorCount)
        let results = Mutex<(total: World.Counts, failed: [Runner.Outcome], runs: Int)>((World.Counts(), [], 0))
        let next = Atomic<UInt64>(from)
        let start = Date()
        let until = minutes.map { start.addingTimeInterval($0 * 60) }
        DispatchQueue.concurrentPerform(iterations: cores) { _ in
            while true {
                let seed = next.add(1, ordering: .relaxed).oldValue
                if let until { if Date() >= until { return } } else if seed >= from + seeds { return }
                let outcome = Runner.run(scenario(seed))
                results.withLock {
                    $0.total.add(outcome.counts)
                    $0.runs += 1
                    if let violation = outcome.violations.first {
                        $0.failed.append(outcome)
                        print("seed \(seed): \(violation)")
                    }
                }
            }
        }
        let seconds = Date().timeIntervalSince(start)
        let (total, failed, runs) = results.withLock { ($0.total, $0.failed.sorted { $0.seed < $1.seed }, $0.runs) }
        print(Report.summary(total, runs: runs, failed: failed.count, seconds: seconds))
        for outcome in failed.prefix(3) { explain(outcome) }
        if failed.count > 3 { print("and \(failed.count - 3) others") }
        return failed.isEmpty ? 0 : 1
    }

    /// What went wrong in a run, and the last part of its trace.
    private func explain(_ outcome: Runner.Outcome) {
        let (again, trace) = Runner.trace(scenario(outcome.seed), lines: lines)
        print("\n" + scenario(outcome.seed).words)
        for violation in outcome.violations.prefix(5) { print("  \(violation)") }
        if again.hash != outcome.hash { print("  and it does not run the same way twice") }
        print("the end of its trace (all of it: scripts/simulate.sh --trace \(outcome.seed)):")
        for line in trace { print("  \(line)") }
    }

    private func tell(_ seed: UInt64) -> Int32 {
        let (outcome, trace) = Runner.trace(scenario(seed))
        print(scenario(seed).words)
        for line in trace { print(line) }
        print("trace \(String(outcome.hash, radix: 16))")
        for violation in outcome.violations { print(violation) }
        return outcome.violations.isEmpty ? 0 : 1
    }

    private func hash(_ seed: UInt64) -> Int32 {
        print(String(Runner.run(scenario(seed)).hash, radix: 16))
        return 0
    }

    // MARK: Planted faults

    private func plant(_ name: String) -> Int32 {
        let wanted = name == "all" ? Planted.all : Planted.all.filter { $0.name == name }
        guard !wanted.isEmpty else {
            print("there is no planted fault \(name); there are \(Planted.all.map(\.name).joined(separator: ", "))")
            return 2
        }
        let found = Mutex<[String: Planted.Finding]>([:])
        let next = Atomic<Int>(0)
        let from = from
        let limit = minutes == nil && seeds != 500 ? seeds : 500
        DispatchQueue.concurrentPerform(iterations: max(1, ProcessInfo.processInfo.activeProcessorCount)) { _ in
            while true {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < wanted.count else { return }
                let finding = wanted[index].search(from: from, limit: limit)
                found.withLock {
                    $0[wanted[index].name] = finding
                    if finding == nil { print("… \(wanted[index].name) is not found") }
                    fflush(nil)
                }
            }
        }
        var missed = 0
        for planted in wanted {
            guard let finding = found.withLock({ $0[planted.name] }) else {
                missed += 1
                print("\(planted.name): not found in \(limit) seeds")
                continue
            }
            print("\(planted.name): \(finding.seeds) seeds; \(finding.violation)")
        }
        return missed == 0 ? 0 : 1
    }

    private func figures() -> Int32 {
        Figures.all {
            print($0)
            fflush(nil)
        }
        return 0
    }
}

import CHeap
import Glibc

/// Nanoseconds of processor time a piece, so that what else the machine does counts little: the median of `runs`, each of which makes its own state anew, unmeasured, and then does
/// `pieces` pieces of work on it.
func nanoseconds<State>(
    pieces: Int, runs: Int = 5, _ make: () -> State, _ work: (inout State) -> Void
) -> Double {
    var times: [Double] = []
    for _ in 0..<runs {
        var state = make()
        let start = processorTime()
        work(&state)
        times.append((processorTime() - start) / Double(pieces))
        keep(state)
    }
    return times.sorted()[runs / 2]
}

/// The bytes of the heap that what `make` returns holds on to.
func heapBytes<State>(_ make: () -> State) -> Int {
    let before = Int(heap_in_use())
    let state = make()
    let after = Int(heap_in_use())
    keep(state)
    return after - before
}

/// Stops the optimiser from leaving out what nobody uses.
@inline(never)
func keep<State>(_ state: State) {
    withExtendedLifetime(state) {}
}

private func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

import Glibc

/// Nanoseconds a piece: the median of `runs`, each of which makes its own state anew, unmeasured, and then does
/// `pieces` pieces of work on it.
func nanoseconds<State>(
    pieces: Int, runs: Int = 5, _ make: () -> State, _ work: (inout State) -> Void
) -> Double {
    var times: [Double] = []
    for _ in 0..<runs {
        var state = make()
        let start = ContinuousClock.now
        work(&state)
        let time = start.duration(to: .now)
        times.append(
            (Double(time.components.seconds) * 1e9 + Double(time.components.attoseconds) / 1e9) / Double(pieces))
        keep(state)
    }
    return times.sorted()[runs / 2]
}

/// The bytes of the heap that what `make` returns holds on to.
func heapBytes<State>(_ make: () -> State) -> Int {
    let before = heapInUse()
    let state = make()
    let after = heapInUse()
    keep(state)
    return after - before
}

/// Small pieces and the large ones that are mapped on their own.
private func heapInUse() -> Int {
    let info = mallinfo2()
    return Int(info.uordblks) + Int(info.hblkhd)
}

/// Stops the optimiser from leaving out what nobody uses.
@inline(never)
func keep<State>(_ state: State) {
    withExtendedLifetime(state) {}
}

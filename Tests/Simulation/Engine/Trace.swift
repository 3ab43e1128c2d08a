/// What happened in a run, in order: always as a hash, which says whether two runs were the same; as text where somebody
/// is going to read it.
struct Trace {
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    /// Lines are kept from this moment on; nil keeps none.
    var recordsFrom: Microseconds?
    /// The last lines, at most this many.
    private var lines: [String] = []
    private static let limit = 400_000

    /// Takes note of one thing that happened. FNV-1a over whole words.
    mutating func note(
        _ time: Microseconds, _ node: Int, _ what: StaticString, _ a: UInt64 = 0, _ b: UInt64 = 0,
        _ words: @autoclosure () -> String = ""
    ) {
        mix(time)
        mix(UInt64(truncatingIfNeeded: node))
        mix(a)
        mix(b)
        guard let recordsFrom, time >= recordsFrom, lines.count < Self.limit else { return }
        let millis = time / 1_000
        let fraction = String(1_000 + time % 1_000).dropFirst()
        let place = node < 0 ? "      " : "node \(node)"
        lines.append("\(pad(String(millis), 7)).\(fraction)  \(place)  \(what)  \(words())")
    }

    private mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x0000_0100_0000_01B3
        hash ^= hash >> 29
    }

    func last(_ count: Int) -> ArraySlice<String> { lines.suffix(count) }
}

func pad(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.utf8.count)) + text
}

// What the replicated types cost, as a table in Markdown. Run it by `scripts/bench.sh crdt`.

import ConvergeCRDT
import Glibc

let writer = ReplicaID(rawValue: 0x5EED_0000_0000_0001)
let other = ReplicaID(rawValue: 0x5EED_0000_0000_0002)

/// Elements that are not in order, as those of real sets: `index` spread over 64 bits.
func scattered(_ index: Int) -> UInt64 { UInt64(index) &* 0x9E37_79B9_7F4A_7C15 }
func number(_ index: Int) -> Int { Int(truncatingIfNeeded: scattered(index)) }
/// 22 bytes: more than a string holds without memory of its own.
func text(_ index: Int) -> String {
    let digits = String(scattered(index), radix: 16)
    return "item: " + String(repeating: "0", count: 16 - digits.utf8.count) + digits
}

/// A set of `elements` by `writer`.
func makeSet<Element>(of elements: some Sequence<Element>) -> ORSet<Element> {
    var set = ORSet<Element>()
    var seq: UInt64 = 0
    for element in elements {
        seq += 1
        set.add(element, dot: Dot(replica: writer, seq: seq))
    }
    return set
}

func row(_ work: String, _ figures: [String]) {
    print("| \(work) | \(figures.joined(separator: " | ")) |")
}

func rounded(_ value: Double) -> String {
    value < 10
        ? String(Int((value * 10).rounded()) / 10) + "." + String(Int((value * 10).rounded()) % 10)
        : String(Int(value.rounded()))
}

/// All that is measured of sets of one type of element. `element` makes the index-th.
struct SetFigures<Element: Hashable & Sendable & BinaryCodable> {
    let element: (Int) -> Element

    func elements(_ count: Int, from first: Int = 0) -> [Element] { (first..<first + count).map(element) }

    func insert(_ count: Int) -> Double {
        let elements = elements(count)
        return nanoseconds(pieces: count, { ORSet<Element>() }) { set in
            var seq: UInt64 = 0
            for element in elements {
                seq += 1
                set.add(element, dot: Dot(replica: writer, seq: seq))
            }
        }
    }

    func remove(_ count: Int) -> Double {
        let elements = elements(count)
        return nanoseconds(pieces: count, { makeSet(of: elements) }) { set in
            for element in elements.reversed() { set.remove(element) }
        }
    }

    /// Deltas of one element each into a set of `count`: half of them adds of new elements, half removes of old ones.
    func mergeDeltas(into count: Int) -> Double {
        let set = makeSet(of: elements(count))
        let pieces = min(count, 20_000)
        var remote = set
        var deltas: [ORSet<Element>.Delta] = []
        for index in 0..<pieces {
            // Anywhere in the set, and not in the order in which it was made.
            let old = Int(scattered(index) % UInt64(count))
            deltas.append(
                index % 2 == 0
                    ? remote.add(element(count + index), dot: Dot(replica: other, seq: UInt64(index / 2 + 1)))
                    : remote.remove(element(old)))
        }
        return nanoseconds(pieces: pieces, runs: 3, { makeSet(of: elements(count)) }) { set in
            for delta in deltas { set.merge(delta) }
        }
    }

    /// Two sets of `count`, of which half is in both, a piece being an element of either.
    func mergeWhole(_ count: Int) -> Double {
        let shared = makeSet(of: elements(count / 2))
        var theirs = shared
        for index in 0..<count / 2 {
            theirs.add(element(2 * count + index), dot: Dot(replica: other, seq: UInt64(index + 1)))
        }
        return nanoseconds(
            pieces: 2 * count, runs: 3,
            {
                var own = makeSet(of: elements(count / 2))
                for index in 0..<count / 2 {
                    own.add(element(count + index), dot: Dot(replica: writer, seq: UInt64(count / 2 + index + 1)))
                }
                return own
            }
        ) { own in own.merge(theirs) }
    }

    /// Beside the element itself: its place in the table, and what it holds on the heap.
    func memory(_ count: Int) -> Double {
        let elements = elements(count)
        let bytes = heapBytes { makeSet(of: elements) }
        return Double(bytes) / Double(count) - Double(MemoryLayout<Element>.stride)
    }

    func encode(_ count: Int) -> (encode: Double, decode: Double, bytes: Double) {
        let set = makeSet(of: elements(count))
        let bytes = set.encoded()
        let encoding = nanoseconds(pieces: count, runs: 3, { [UInt8]() }) { $0 = set.encoded() }
        let decoding = nanoseconds(pieces: count, runs: 3, { ORSet<Element>() }) { copy in
            guard let decoded = try? ORSet<Element>(decoding: bytes) else { fatalError("the bytes are not read") }
            copy = decoded
        }
        return (encoding, decoding, Double(bytes.count) / Double(count))
    }
}

@main
struct CRDTBench {
    static func main() {
        let numbers = SetFigures(element: number)
        let texts = SetFigures(element: text)
        let size = 100_000

        print("| `ORSet` | elements | `Int` | `String` of 22 bytes | wanted under |")
        print("| --- | ---: | ---: | ---: | ---: |")
        row("insert, ns", ["100,000", rounded(numbers.insert(size)), rounded(texts.insert(size)), "1,000"])
        row("remove, ns", ["100,000", rounded(numbers.remove(size)), rounded(texts.remove(size)), "1,000"])
        for (count, name) in [(1_000, "1,000"), (100_000, "100,000"), (1_000_000, "1,000,000")] {
            row(
                "merge a delta of one element, ns",
                [name, rounded(numbers.mergeDeltas(into: count)), rounded(texts.mergeDeltas(into: count)), "2,000"])
        }
        for (count, name) in [(10_000, "10,000"), (100_000, "100,000"), (1_000_000, "1,000,000")] {
            row(
                "merge two whole sets, ns an element of either",
                [name, rounded(numbers.mergeWhole(count)), rounded(texts.mergeWhole(count)), "linear"])
        }
        // Just before the table grows and just after it did.
        for (count, name) in [(98_000, "98,000"), (100_000, "100,000"), (190_000, "190,000")] {
            row(
                "memory beside the element, bytes",
                [name, rounded(numbers.memory(count)), rounded(texts.memory(count)), "100"])
        }
        let (ofNumbers, ofTexts) = (numbers.encode(size), texts.encode(size))
        row("encode, ns an element", ["100,000", rounded(ofNumbers.encode), rounded(ofTexts.encode), "–"])
        row("decode, ns an element", ["100,000", rounded(ofNumbers.decode), rounded(ofTexts.decode), "–"])
        row("bytes encoded, an element", ["100,000", rounded(ofNumbers.bytes), rounded(ofTexts.bytes), "–"])

        print()
        print("| `ORMap` of 100,000 keys | ns |")
        print("| --- | ---: |")
        mapRows()
    }

    /// A map of registers, and one of sets.
    static func mapRows() {
        let count = 100_000
        func fill(_ map: inout ORMap<Int, MVRegister<Int>>) {
            for index in 0..<count {
                map.update(number(index)) { $0.set(index, dot: Dot(replica: writer, seq: UInt64(index + 1))) }
            }
        }
        let filling = nanoseconds(pieces: count, runs: 3, { ORMap<Int, MVRegister<Int>>() }, fill)
        row("set a register under a new key", [rounded(filling)])
        var full = ORMap<Int, MVRegister<Int>>()
        fill(&full)
        var remote = full
        let deltas = (0..<20_000).map { index in
            remote.update(number(index * 4)) { $0.set(0, dot: Dot(replica: other, seq: UInt64(index + 1))) }
        }
        let merging = nanoseconds(
            pieces: deltas.count, runs: 3,
            {
                var map = ORMap<Int, MVRegister<Int>>()
                fill(&map)
                return map
            }
        ) { map in
            for delta in deltas { map.merge(delta) }
        }
        row("merge a delta of one register", [rounded(merging)])
        let adding = nanoseconds(pieces: count, runs: 3, { ORMap<Int, ORSet<Int>>() }) { map in
            for index in 0..<count {
                map.update(index % 10) { $0.add(number(index), dot: Dot(replica: writer, seq: UInt64(index + 1))) }
            }
        }
        row("add to one of ten sets of 10,000", [rounded(adding)])
    }
}

/// A table of values at fixed addresses that grows by chunks: what a loop keeps its connections and rooms in.
///
/// `self[i]` is a pointer that stays valid as long as the slab, so a loop can change one element while it looks at another,
/// without the copies and exclusivity checks of an array. An element is made when its place is first asked for.
struct Slab<Element: ~Copyable>: ~Copyable {
    private static var chunkLength: Int { 256 }

    private var chunks: [UnsafeMutablePointer<Element>] = []
    private(set) var count = 0
    private let make: () -> Element

    init(_ make: @escaping () -> Element) { self.make = make }

    deinit {
        for (index, chunk) in chunks.enumerated() {
            chunk.deinitialize(count: min(Self.chunkLength, count - index * Self.chunkLength))
            chunk.deallocate()
        }
    }

    @inline(__always)
    subscript(index: UInt32) -> UnsafeMutablePointer<Element> {
        assert(Int(index) < count)
        return chunks[Int(index) / Self.chunkLength] + Int(index) % Self.chunkLength
    }

    /// Makes elements until there are at least `wanted`.
    mutating func grow(to wanted: Int) {
        while count < wanted {
            if count == chunks.count * Self.chunkLength {
                chunks.append(.allocate(capacity: Self.chunkLength))
            }
            (chunks[count / Self.chunkLength] + count % Self.chunkLength).initialize(to: make())
            count += 1
        }
    }
}

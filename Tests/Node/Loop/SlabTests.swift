import Testing

@testable import ConvergeNode

@Suite("Slab") struct SlabTests {
    private final class Tracked {
        let living: Living
        init(_ living: Living) {
            self.living = living
            living.count += 1
        }
        deinit { living.count -= 1 }
    }

    private final class Living { var count = 0 }

    @Test("elements keep their address and value while it grows")
    func grows() {
        var slab = Slab<Int> { -1 }
        slab.grow(to: 3)
        let first = slab[0]
        for index in 0..<3 { slab[UInt32(index)].pointee = index }
        slab.grow(to: 2_000)
        slab.grow(to: 10)
        #expect(slab.count == 2_000 && slab[0] == first)
        #expect((0..<3).allSatisfy { slab[UInt32($0)].pointee == $0 } && slab[1_999].pointee == -1)
    }

    @Test("each element is made once and ends once", arguments: [0, 1, 255, 256, 257, 600])
    func lifetime(_ count: Int) {
        let living = Living()
        do {
            var slab = Slab<Tracked> { Tracked(living) }
            slab.grow(to: count)
            #expect(living.count == count && slab.count == count)
        }
        #expect(living.count == 0)
    }
}

import ConvergeGossip
import ConvergeTestSupport
import Testing

@testable import ConvergeNode

/// Who may be at the peers' port without having proved itself: floods of strangers leave peers their places.
@Suite("Stranger gate") struct StrangerGateTests {
    /// A peer from `site` needs `needs` ms while strangers come at `rate` a second from sites that `from` gives; says in how
    /// many of a hundred tries it gets to the end.
    private func arrivals(
        needs: Int, rate: Int, site: UInt64, known: Bool, seed: UInt64, from: (inout SplitMix64) -> UInt64
    ) -> Int {
        var random = SplitMix64(seed: seed)
        var gate = StrangerGate()
        if known { gate.know(site) }
        var number: UInt64 = 0
        var since: [(link: LinkID, at: Int)] = []
        func arrive(_ site: UInt64, at now: Int) -> LinkID {
            number += 1
            let link = LinkID(rawValue: number)
            if let gone = gate.arrive(link, from: site, random: random.next()) { since.removeAll { $0.link == gone } }
            since.append((link, now))
            return link
        }
        var done = 0
        var now = 0
        for _ in 0..<100 {
            let peer = arrive(site, at: now)
            for _ in 0..<needs {
                now += 1
                for _ in 0..<rate / 1_000 { _ = arrive(from(&random), at: now) }
                // Whoever says nothing is closed after five seconds.
                while let first = since.first, now - first.at >= 5_000 {
                    gate.leave(first.link)
                    since.removeFirst()
                }
                #expect(gate.count == since.count && gate.count <= 64)
            }
            if since.contains(where: { $0.link == peer }) { done += 1 }
            gate.leave(peer)
            since.removeAll { $0.link == peer }
        }
        return done
    }

    @Test("a thousand connections a second from one address keep no peer out, known or not")
    func oneAddress() {
        #expect(arrivals(needs: 100, rate: 1_000, site: 1, known: true, seed: 1) { _ in 2 } == 100)
        #expect(arrivals(needs: 100, rate: 1_000, site: 1, known: false, seed: 2) { _ in 2 } == 100)
        #expect(
            arrivals(needs: 100, rate: 5_000, site: 1, known: false, seed: 3) { UInt64.random(in: 2...4, using: &$0) }
                == 100)
    }

    @Test("from addresses that together have all places they keep no peer out: the busiest of them gives way")
    func handfulOfAddresses() {
        #expect(
            arrivals(needs: 100, rate: 5_000, site: 1, known: false, seed: 6) { UInt64.random(in: 2...9, using: &$0) }
                == 100)
    }

    @Test("from any number of addresses they keep no member out")
    func manyAddresses() {
        #expect(arrivals(needs: 100, rate: 2_000, site: 1, known: true, seed: 4) { $0.next() | 2 } == 100)
    }

    @Test("even from a member's own address they do not keep it out for ever")
    func sharedAddress() {
        let known = arrivals(needs: 60, rate: 1_000, site: 1, known: true, seed: 5) { _ in 1 }
        #expect(known > 3, "seed 5: \(known) of 100")
    }

    @Test("places are counted by site, and those of members apart")
    func places() {
        var gate = StrangerGate(limits: .init(members: 2, others: 3, each: 2, sites: 2))
        func arrive(_ link: UInt64, _ site: UInt64, random: UInt64 = 0) -> UInt64? {
            gate.arrive(LinkID(rawValue: link), from: site, random: random)?.rawValue
        }
        gate.know(9)
        #expect(arrive(1, 5) == nil && arrive(2, 5) == nil)
        // The site's own places are taken: one of its own gives way, by chance.
        #expect(arrive(3, 5, random: 1) == 2)
        #expect(arrive(4, 6) == nil && gate.count == 3)
        // All are taken: the site that has the most gives way.
        #expect(arrive(5, 7, random: 2) == 1)
        // Members have places of their own.
        #expect(arrive(6, 9) == nil && arrive(7, 9) == nil && arrive(8, 9) == 6)
        #expect(gate.count == 5)
        // Whoever has done leaves its place, and is asked for no more.
        gate.leave(LinkID(rawValue: 7))
        gate.leave(LinkID(rawValue: 7))
        #expect(gate.count == 4 && arrive(9, 9) == nil)
    }

    @Test("of more sites than are remembered the one that was used last the longest ago is forgotten")
    func sites() {
        var gate = StrangerGate(limits: .init(sites: 2))
        for site in [1, 2, 1, 3] as [UInt64] { gate.know(site) }
        #expect(gate.isKnown(1) && !gate.isKnown(2) && gate.isKnown(3))
    }
}

import ConvergeGossip

/// Which connections to the peers' port may be there before they have proved that they know the cluster's secret, and
/// which of them gives way where there are too many.
///
/// A stranger costs memory and a handshake, so there are few; and whoever opens a thousand connections a second must not
/// take all places for as long as it goes on: a peer that needs 60 ms to prove itself would never get to its end, and two
/// nodes would stay apart. So
/// - places count by *site*: an address, or the network of 64 bits that an IPv6 address is in. A site that has all it may
///   have takes places from itself;
/// - half of all places are kept for the sites of members: those that this node dials, or that have proved themselves;
/// - who gives way is chosen at random among the site that has the most. Of strangers that share a peer's site (behind one
///   translated address) no rule is better than chance: the oldest would be the peer that has nearly done, the newest
///   leaves the places to those that sit in them.
///
/// A value: randomness is passed in.
struct StrangerGate {
    struct Limits: Sendable {
        /// Places for connections from members' sites, and for all others together.
        var members = 32
        var others = 32
        /// Places for any one of those others.
        var each = 8
        /// Sites that are remembered as members'; past it the one that was used last the longest ago is forgotten.
        var sites = 1_024
    }

    private struct Stranger {
        let link: LinkID
        let site: UInt64
        let isMember: Bool
    }

    private let limits: Limits
    private var strangers: [Stranger] = []
    /// When a member's site was used last, in the order of uses.
    private var known: [UInt64: UInt64] = [:]
    private var uses: UInt64 = 0

    init(limits: Limits = Limits()) { self.limits = limits }

    /// How many have not proved themselves.
    var count: Int { strangers.count }

    /// A member is at this site: it is dialled there, or has come from there and proved itself.
    mutating func know(_ site: UInt64) {
        uses += 1
        known[site] = uses
        guard known.count > limits.sites, let oldest = known.min(by: { $0.value < $1.value }) else { return }
        known[oldest.key] = nil
    }

    func isKnown(_ site: UInt64) -> Bool { known[site] != nil }

    /// Gives a place to a connection that has just come from `site`. Who has to give way for it, if anybody. O(places).
    /// - Parameter random: any number, another one each time.
    mutating func arrive(_ link: LinkID, from site: UInt64, random: UInt64) -> LinkID? {
        let isMember = isKnown(site)
        defer { strangers.append(Stranger(link: link, site: site, isMember: isMember)) }
        let rivals = strangers.filter { $0.isMember == isMember }
        let own = rivals.filter { $0.site == site }
        if !isMember, own.count >= limits.each { return release(own, random) }
        guard rivals.count >= (isMember ? limits.members : limits.others) else { return nil }
        var counts: [UInt64: Int] = [:]
        for rival in rivals { counts[rival.site, default: 0] += 1 }
        // Of several that have as many, the one whose number is lower: always the same, whatever a dictionary's order is.
        let busiest = counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
        return release(rivals.filter { $0.site == busiest }, random)
    }

    private mutating func release(_ candidates: [Stranger], _ random: UInt64) -> LinkID? {
        guard !candidates.isEmpty else { return nil }
        let link = candidates[Int(random % UInt64(candidates.count))].link
        leave(link)
        return link
    }

    /// The connection is gone, or has proved itself: its place is free. Nothing for one that has none.
    mutating func leave(_ link: LinkID) { strangers.removeAll { $0.link == link } }
}

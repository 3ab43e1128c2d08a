import ConvergeGossip
import ConvergeWire

@testable import ConvergeNode

/// What lies between cores that a test runs by hand: what is to happen to each, in order, and links that carry bytes at once.
struct CoreWires {
    private struct End: Hashable {
        let node: Int
        let link: UInt64
    }

    /// What happens next, and to which node.
    var queue: [(node: Int, event: CoreEvent)] = []
    /// The other end of each.
    private var ends: [End: End] = [:]
    private var lastLink: UInt64 = 0

    /// A node of so many that know each other's addresses: their numbers.
    static func options(_ index: Int, of count: Int, name: Text, systemEvents: SystemEvents) -> CoreOptions {
        var options = CoreOptions(
            nodeName: name, loopCount: 1, saveBuffer: 64, historyLimit: 200, systemEvents: systemEvents,
            frameSeed: UInt64(index + 1))
        options.cluster = ClusterOptions(
            name: "c", address: Text("\(index)"), seeds: (0..<count).map { Text("\($0)") }, process: UInt64(index + 1),
            seed: UInt64(index + 1))
        return options
    }

    /// - Parameter to: who is there; nil for nobody.
    mutating func dial(_ node: Int, _ address: Text, to: Int?) {
        guard let to else {
            queue.append((node, .dialFailed(address)))
            return
        }
        lastLink += 2
        let (mine, theirs) = (End(node: node, link: lastLink), End(node: to, link: lastLink + 1))
        ends[mine] = theirs
        ends[theirs] = mine
        queue.append((node, .link(LinkID(rawValue: mine.link), .opened(dialled: address))))
        queue.append((to, .link(LinkID(rawValue: theirs.link), .opened(dialled: nil))))
    }

    mutating func send(_ bytes: [UInt8], _ node: Int, _ link: LinkID) {
        guard let other = ends[End(node: node, link: link.rawValue)] else { return }
        queue.append((other.node, .link(LinkID(rawValue: other.link), .received(bytes))))
    }

    mutating func close(_ node: Int, _ link: LinkID) {
        guard let other = ends.removeValue(forKey: End(node: node, link: link.rawValue)) else { return }
        ends[other] = nil
        queue.append((other.node, .link(LinkID(rawValue: other.link), .closed)))
    }

    /// Ends the links between such nodes, for both sides.
    mutating func cut(where isCut: (Int, Int) -> Bool) {
        for (end, other) in ends.sorted(by: { ($0.key.link) < ($1.key.link) }) where isCut(end.node, other.node) {
            for side in [end, other] where ends.removeValue(forKey: side) != nil {
                queue.append((side.node, .link(LinkID(rawValue: side.link), .closed)))
            }
        }
    }
}

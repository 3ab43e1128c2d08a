import ConvergeCRDT
import ConvergeWire

/// Who may have entries that are missing here: another node, or the store that this node shares with others.
///
/// A type of its own, and no replica with a special number: what a peer calls itself comes over the network, and must never
/// be taken for the node's own store, which is believed more than any peer.
public enum LogSource: Hashable, Comparable, Sendable {
    case sharedStore
    case node(ReplicaID)

    /// The node's replica; nil for the store.
    public var node: ReplicaID? {
        if case .node(let replica) = self { replica } else { nil }
    }
}

extension [ReplicatorEffect] {
    /// Live, to a node; or as a question to the store.
    mutating func send(_ frame: PeerFrame, to source: LogSource, bulk: Bool = false) {
        switch source {
        case .sharedStore: append(.askSharedStore(frame))
        case .node(let replica): append(.send(replica, frame, bulk: bulk))
        }
    }
}

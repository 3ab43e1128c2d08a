import ConvergeCRDT
import ConvergeWire

// What membership is told and what it wants done. Both read as sentences.

/// What is stored of a member: where it is dialled after a restart. One an address.
public struct RememberedMember: Hashable, Sendable {
    public var address: Text
    /// Whose node was last seen there; nil where nobody answered yet.
    public var replica: ReplicaID?
    public var name: Text
    /// When it was last known to live, in wall milliseconds; 0: it was forgotten, and has no vote.
    public var seen: UInt64

    public init(address: Text, replica: ReplicaID?, name: Text, seen: UInt64) {
        self.address = address
        self.replica = replica
        self.name = name
        self.seen = seen
    }
}

public enum MembershipEvent: Hashable, Sendable {
    /// The first event; all before it are ignored.
    case started(replica: ReplicaID, remembered: [RememberedMember])
    /// This node goes on under a new identity: the old one has left.
    case renewed(ReplicaID)
    /// A link to a peer is established (hello done); there is at most one a replica. `address` and `name` are the hello's;
    /// `dialled` is what this node dialled to get the link, nil where the peer dialled.
    case linkOpened(ReplicaID, address: Text, name: Text, incarnation: UInt64, dialled: Text? = nil)
    /// A hint: the peer is probed through others at once.
    case linkClosed(ReplicaID)
    /// This dial is over without an established link. `reached` is who answered there, where somebody did: oneself, or a
    /// peer that has another link already.
    case dialFailed(Text, reached: ReplicaID? = nil)
    case frame(from: ReplicaID, PeerFrame)
    /// An operator says that this member will not come back. If it lives, it says so.
    case remove(ReplicaID)
    /// A graceful stop: everybody is told at once. Nothing is done after it.
    case leave
    case tick
}

public enum MembershipEffect: Hashable, Sendable {
    case send(ReplicaID, PeerFrame)
    /// Ends in `linkOpened` with this address as `dialled`, or in `dialFailed`.
    case dial(Text)
    /// The member is in this state now; also for a member that is new.
    case changed(ReplicaID, MemberState)
    /// This faulty member's node goes on under another replica: nobody need wait for it.
    case replaced(ReplicaID, by: ReplicaID)
    /// So long faulty or left that it has no vote any more; it is still dialled unless it left.
    case forgotten(ReplicaID)
    /// To be stored in the place of what was stored for this address.
    case remember(RememberedMember)
    /// To be taken out of the store.
    case drop(address: Text)
}

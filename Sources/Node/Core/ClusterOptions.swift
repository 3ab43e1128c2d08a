import ConvergeGossip
import ConvergeWire

/// What a core has to know to be one of several.
struct ClusterOptions: Sendable {
    /// Clusters of different names never merge.
    var name: Text
    /// Where others dial this node; empty where they can't.
    var address: Text = ""
    /// Addresses of any members.
    var seeds: [Text] = []
    /// Random, another one for each process: tells oneself from a twin.
    var process: UInt64
    /// For the choices that are better made at random: whom to probe, when to dial.
    var seed: UInt64
    var membership = MembershipOptions()
    var links = PeerLinksOptions()
    /// The last kind of document that this node says it knows.
    var lastKind = DocumentKind.last.rawValue
    /// How long an ack waits for copies on other nodes, in milliseconds.
    var copiesWait: UInt64 = 5_000
}

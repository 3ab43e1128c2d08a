/// How a node finds the other nodes of its cluster, and how they know each other.
public struct ClusterSettings: Sendable {
    /// The address to listen on for peers: a name, an IPv4 or an IPv6 address (without brackets).
    public var host: String
    /// 0: any free port.
    public var port: UInt16
    /// What peers dial, as `host:port`, where it differs from where this node listens.
    public var advertise: String?
    /// `host:port` of any members. Names are resolved anew at each try; the node's own address may be among them.
    public var peers: [String] = []
    /// What proves that a node belongs to the cluster, and encrypts what nodes say: one, or two while they are being
    /// changed. The first is offered, both are accepted. Without one, nodes talk on loopback only.
    public var secrets: [Secret] = []
    /// Clusters of different names never merge.
    public var name = "converge"
    /// How often a peer is probed.
    public var probeInterval: Duration = .seconds(1)
    /// How long a peer that does not answer is suspected before its users are taken to have left.
    public var suspectTimeout: Duration = .seconds(4)
    /// The versions of the peer protocol that this build speaks. Not a setting: tests of neighbouring builds change it.
    var versions: ClosedRange<UInt16> = 1...1

    public init(host: String = "127.0.0.1", port: UInt16 = 0) {
        self.host = host
        self.port = port
    }
}

/// The settings that make a node one of several.
extension Setting {
    static let cluster: [Setting] = [
        Setting(
            "CONVERGE_GOSSIP_ADDR", .cluster, "listen host:port for peers; empty: a single node",
            accepted: ListenAddress.accepted, default: ""
        ) {
            $0.gossipAddress?.text ?? ""
        } read: { value, settings in
            guard let address = ListenAddress(value) else { return ListenAddress.accepted }
            settings.gossipAddress = address
            return nil
        },
        Setting(
            "CONVERGE_GOSSIP_ADVERTISE", .cluster, "what peers dial, where it differs", accepted: dialled,
            default: "CONVERGE_GOSSIP_ADDR"
        ) {
            $0.gossipAdvertise ?? $0.gossipAddress?.text ?? ""
        } read: { value, settings in
            guard let address = dialAddress(value) else { return dialled }
            settings.gossipAdvertise = address
            return nil
        },
        Setting(
            "CONVERGE_PEERS", .cluster, "host:port of any members, comma-separated", accepted: dialledList, default: ""
        ) {
            $0.gossipPeers.joined(separator: ",")
        } read: { value, settings in
            var peers: [String] = []
            for word in value.split(separator: ",") where !String(word).trimmed.isEmpty {
                guard let address = dialAddress(String(word).trimmed) else { return dialledList }
                if !peers.contains(address) { peers.append(address) }
            }
            guard peers.count <= 256 else { return "must be at most 256 addresses" }
            settings.gossipPeers = peers
            return nil
        },
        Setting(
            "CONVERGE_CLUSTER_SECRET", .cluster,
            "what peers prove and encrypt with (two, comma-separated, while it is changed); environment only",
            accepted: secretAccepted, default: "", secret: true
        ) {
            $0.clusterSecrets.isEmpty ? "" : Secret.mask
        } read: { value, settings in
            let secrets = value.split(separator: ",", omittingEmptySubsequences: false).map { String($0).trimmed }
            guard (1...2).contains(secrets.count), secrets.allSatisfy({ (32...4_096).contains($0.utf8.count) }) else {
                return secretAccepted
            }
            do throws(SettingsError) {
                settings.clusterSecrets = []
                for secret in secrets {
                    settings.clusterSecrets.append(try Secret(variable: "CONVERGE_CLUSTER_SECRET", value: secret))
                }
                return nil
            } catch {
                return error.problem
            }
        },
        Setting(
            "CONVERGE_CLUSTER_NAME", .cluster, "clusters of different names never merge", accepted: nameAccepted
        ) {
            $0.clusterName
        } read: { value, settings in
            guard value.utf8.count <= 64, value.isPrintable else { return nameAccepted }
            settings.clusterName = value
            return nil
        },
        .duration(
            "CONVERGE_PROBE_INTERVAL", .cluster, "how often a peer is probed", \.probeInterval,
            in: .milliseconds(20)...Duration.seconds(60)),
        .duration(
            "CONVERGE_SUSPECT_TIMEOUT", .cluster, "how long a silent peer is suspected", \.suspectTimeout,
            in: .milliseconds(50)...Duration.seconds(3_600)),
    ]

    private static let dialled = "must be host:port or [IPv6]:port, with a port from 1 to 65535"
    private static let dialledList = dialled + ", several separated by commas"
    private static let secretAccepted =
        "must be at least 32 characters (`converge secret` makes one), or two such, separated by a comma"
    private static let nameAccepted = "must be at most 64 bytes, without control characters"

    /// The address as it is dialled; nil where nobody could dial it.
    private static func dialAddress(_ text: String) -> String? {
        guard let address = ListenAddress(text), address.port > 0, !text.hasPrefix(":") else { return nil }
        return address.text
    }
}

extension Settings {
    /// What these settings say of the cluster; nil where the node is alone.
    var clusterSettings: ClusterSettings? {
        guard let gossipAddress else { return nil }
        var cluster = ClusterSettings(host: gossipAddress.host, port: gossipAddress.port)
        cluster.advertise = gossipAdvertise
        cluster.peers = gossipPeers
        cluster.secrets = clusterSecrets
        cluster.name = clusterName
        cluster.probeInterval = probeInterval
        cluster.suspectTimeout = suspectTimeout
        return cluster
    }

    /// What no setting of the cluster can tell by itself.
    func checkCluster(_ errors: inout [SettingsError]) {
        guard let gossipAddress else {
            guard !gossipPeers.isEmpty, sources["CONVERGE_GOSSIP_ADDR"] == nil else { return }
            errors.append(
                SettingsError(
                    variable: "CONVERGE_PEERS",
                    problem: "needs CONVERGE_GOSSIP_ADDR: where this node listens for its peers"))
            return
        }
        // A name is looked up when the node starts; what is written as an address is known now.
        if clusterSecrets.isEmpty, gossipAddress.isBeyondLoopback {
            errors.append(
                SettingsError(
                    variable: "CONVERGE_GOSSIP_ADDR", value: gossipAddress.text,
                    problem: "is not loopback and needs CONVERGE_CLUSTER_SECRET: `converge secret` makes one"))
        }
    }

    /// Settings of the cluster that do nothing, since the node is alone.
    var idleClusterSettings: [String] {
        guard gossipAddress == nil else { return [] }
        return Setting.cluster.map(\.variable).filter { sources[$0] != nil && $0 != "CONVERGE_PEERS" }
    }
}

import ConvergeTransport
import ConvergeWire

/// Where a node listens for peers, and what lets them in.
///
/// Nothing listens beyond loopback without a secret.
final class PeerGate: Sendable {
    private let listener: Listener
    private let settings: ClusterSettings
    let loopOptions: PeerLoopOptions
    /// What others dial; empty where they can't.
    let advertised: String

    init(_ settings: ClusterSettings) throws(ServerError) {
        self.settings = settings
        guard settings.name.utf8.count <= 64, !Text(settings.name).hasControls else {
            throw .peersRefuse("a cluster's name must be at most 64 bytes, without control characters")
        }
        if let advertise = settings.advertise, ListenAddress(advertise).map({ $0.port > 0 }) != true {
            throw .peersRefuse("what peers are to dial must be host:port or [IPv6]:port, with a port from 1 to 65535")
        }
        do throws(Listener.Failure) {
            listener = try Listener(host: settings.host, port: settings.port, backlog: 128)
        } catch {
            throw .cannotListenForPeers(error)
        }
        let address = listener.address
        guard !settings.secrets.isEmpty || address?.isLoopback == true else {
            throw .secretMissing(host: settings.host)
        }
        var loopOptions = PeerLoopOptions()
        if let current = settings.secrets.first {
            loopOptions.tls = try Self.context(current, settings.secrets.dropFirst().first, settings.name)
        }
        self.loopOptions = loopOptions
        advertised = settings.advertise ?? Self.reachable(settings.host, listener.port)
    }

    private static func context(
        _ current: Secret, _ previous: Secret?, _ name: String
    ) throws(ServerError) -> TLSContext {
        let secrets: PeerSecrets
        do throws(PeerSecrets.Refusal) {
            secrets = try PeerSecrets(current: current.bytes, previous: previous?.bytes, cluster: name)
        } catch {
            throw .peerEncryption(error.description)
        }
        do throws(TLSError) {
            return try TLSContext.peer(secrets: secrets)
        } catch {
            throw .peerEncryption(error.description)
        }
    }

    /// An address that stands for all of the machine's is none that others could dial.
    private static func reachable(_ host: String, _ port: UInt16) -> String {
        guard ["0.0.0.0", "::"].contains(host) else { return ListenAddress(host: host, port: port).text }
        return NetworkAddress.own().map { ListenAddress(host: $0, port: port).text } ?? ""
    }

    var descriptor: Int32 { listener.descriptor }
    var port: UInt16 { listener.port }
    var listening: String { ListenAddress(host: settings.host, port: listener.port).text }

    func clusterOptions() -> ClusterOptions {
        var options = ClusterOptions(
            name: Text(settings.name), address: Text(advertised), seeds: settings.peers.map { Text($0) },
            process: SecureRandom.word(), seed: SecureRandom.word())
        let interval = max(1, settings.probeInterval.milliseconds)
        options.membership.probeInterval = interval
        options.membership.probeTimeout = min(options.membership.probeTimeout, max(1, interval * 3 / 10))
        options.membership.suspectTimeout = max(1, settings.suspectTimeout.milliseconds)
        options.links.lowestVersion = settings.versions.lowerBound
        options.links.highestVersion = settings.versions.upperBound
        return options
    }
}

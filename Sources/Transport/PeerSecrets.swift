/// What a node of a cluster proves itself with: the secret that is in use, and while it is being changed a second one
/// that is taken too.
///
/// To change a cluster's secret without a stop, restart its nodes one by one, three times over: with (old, new), then
/// with (new, old), then with (new). At each step a node offers what all others know.
///
/// It shows nothing of the secrets in a description; the keys made of them are wiped when the last holder is gone.
public struct PeerSecrets: Sendable, CustomStringConvertible, CustomReflectable {
    public enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
        /// A secret has so many characters only.
        case tooShort(characters: Int)
        case noClusterName

        public var description: String {
            switch self {
            case .tooShort(let count):
                "a cluster's secret needs at least \(PeerSecrets.fewestCharacters) characters, and this has \(count): "
                    + "converge secret makes one"
            case .noClusterName: "a cluster needs a name"
            }
        }
    }

    public static let fewestCharacters = 32

    let keys: [PeerKey]

    /// Derives the keys: about 100 ms for each.
    /// - Parameters:
    ///   - current: what this node offers when it dials.
    ///   - previous: what it takes besides.
    public init(current: [UInt8], previous: [UInt8]? = nil, cluster: String) throws(Refusal) {
        guard !cluster.isEmpty else { throw .noClusterName }
        let secrets = previous.map { [current, $0] } ?? [current]
        for secret in secrets {
            // What continues a character of UTF-8 counts for nothing.
            let characters = secret.count { $0 & 0xC0 != 0x80 }
            guard characters >= Self.fewestCharacters else { throw .tooShort(characters: characters) }
        }
        keys = secrets.map { PeerKey(secret: $0, cluster: cluster) }
    }

    /// How many there are: 1 or 2.
    public var count: Int { keys.count }

    public var description: String { count == 1 ? "a secret" : "two secrets" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

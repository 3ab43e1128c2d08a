import ConvergeCRDT
import ConvergeWire

/// What a node's `/cluster` says, read: docs/protocol.md names the fields. What this build does not know is left out, and
/// what it does not find has the plainest value, so that builds of different ages can ask each other.
public struct NodeReport: Sendable {
    public struct Log: Sendable {
        public var seq: UInt64 = 0
        public var hash: UInt64 = 0
    }

    public struct Lag: Hashable, Sendable {
        public var entries: UInt64 = 0
        public var milliseconds: UInt64 = 0
    }

    public struct Peer: Sendable {
        /// Nil until it has been read: no peer is without one.
        public var replica: ReplicaID?
        public var name = ""
        public var address = ""
        public var state = ""
        public var inState: UInt64 = 0
        public var isLinked = false
        public var inLink: UInt64 = 0
        /// It has told what it has.
        public var hasTold = false
        /// What it lacks of what the node has, and the other way round.
        public var lacks = Lag()
        public var leads = Lag()
        public var skew: Int64?

        /// Nobody waits for it any more.
        public var isGone: Bool { state == "left" || state == "forgotten" || state == "replaced" }
    }

    public var name = ""
    public var version = ""
    public var cluster: String?
    /// Where its peers dial it.
    public var address = ""
    public var replica: ReplicaID?
    public var state = ""
    public var isClockTolerable = true
    /// How far the latest moment of its entries is ahead of its wall clock, in milliseconds.
    public var clockLead: UInt64 = 0
    /// Logs that go no further there, since what is next is dated too far ahead.
    public var held: [ReplicaID] = []
    public var connections: UInt64 = 0
    public var sessions: UInt64 = 0
    public var rooms: UInt64 = 0
    public var documents: UInt64 = 0
    /// The most bytes of a message's body; nil from builds that don't say.
    public var bodyLimit: Int?
    public var documentsDigest: UInt64 = 0
    /// The entries that the digest is made of.
    public var documentsVector = VersionVector()
    public var logs: [ReplicaID: Log] = [:]
    public var peers: [Peer] = []

    public init() {}

    public struct Unreadable: Error, Hashable, Sendable {
        /// About where, in bytes.
        public let offset: Int
    }

    public init(json bytes: [UInt8]) throws(Unreadable) {
        self.init()
        // What is thrown inside is carried out of the closure.
        let failure = bytes.withUnsafeBytes { bytes -> Unreadable? in
            var json = JSONScanner(bytes)
            do throws(JSONError) {
                try read(&json)
                try json.finish()
                return nil
            } catch {
                return Unreadable(offset: json.offset)
            }
        }
        if let failure { throw failure }
        // Any other JSON, a page of another program's perhaps.
        if name.isEmpty || state.isEmpty { throw Unreadable(offset: 0) }
        findReplaced()
    }

    private mutating func read(_ json: inout JSONScanner) throws(JSONError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            switch key.text().string {
            case "node": name = try json.words()
            case "version": version = try json.words()
            case "cluster": cluster = try json.skipNull() ? nil : json.words()
            case "address": address = try json.words()
            case "replica": replica = try json.skipNull() ? nil : json.replica()
            case "state": state = try json.words()
            case "clock_tolerable": isClockTolerable = try json.bool()
            case "clock": try readClock(&json)
            case "connections": connections = try json.count()
            case "sessions": sessions = try json.count()
            case "rooms": rooms = try json.count()
            case "limits": try readLimits(&json)
            case "documents": try readDocuments(&json)
            case "logs":
                try json.beginArray()
                while try json.nextElement() { try readLog(&json) }
            case "peers":
                try json.beginArray()
                while try json.nextElement() { peers.append(try Peer(&json)) }
            default: try json.skipValue()
            }
        }
    }

    /// A build that does not know the word says faulty also where a member's node goes on under another replica.
    private mutating func findReplaced() {
        struct Place: Hashable {
            let name: String
            let address: String
        }
        var living = Set(peers.lazy.filter { $0.state == "alive" }.map { Place(name: $0.name, address: $0.address) })
        living.insert(Place(name: name, address: address))
        for at in peers.indices
        where peers[at].state == "faulty" && !peers[at].address.isEmpty
            && living.contains(Place(name: peers[at].name, address: peers[at].address))
        {
            peers[at].state = "replaced"
        }
    }

    private mutating func readLimits(_ json: inout JSONScanner) throws(JSONError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            switch key.text().string {
            case "body": bodyLimit = try json.integer()
            default: try json.skipValue()
            }
        }
    }

    private mutating func readDocuments(_ json: inout JSONScanner) throws(JSONError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            switch key.text().string {
            case "count": documents = try json.count()
            case "digest": documentsDigest = try json.replica().rawValue
            case "of":
                try json.beginObject()
                while let key = try json.nextKey() {
                    guard let replica = ReplicaID(key.text().string) else { throw .wrongType }
                    documentsVector[replica] = try json.count()
                }
            default: try json.skipValue()
            }
        }
    }

    private mutating func readClock(_ json: inout JSONScanner) throws(JSONError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            switch key.text().string {
            case "ahead_ms": clockLead = try json.count()
            case "held_aside":
                try json.beginArray()
                while try json.nextElement() {
                    try json.beginObject()
                    while let key = try json.nextKey() {
                        if key.text().string == "replica" {
                            held.append(try json.replica())
                        } else {
                            try json.skipValue()
                        }
                    }
                }
            default: try json.skipValue()
            }
        }
    }

    private mutating func readLog(_ json: inout JSONScanner) throws(JSONError) {
        var log = Log()
        var replica: ReplicaID?
        try json.beginObject()
        while let key = try json.nextKey() {
            switch key.text().string {
            case "replica": replica = try json.replica()
            case "seq": log.seq = try json.count()
            case "hash": log.hash = try json.replica().rawValue
            default: try json.skipValue()
            }
        }
        guard let replica else { throw .wrongType }
        logs[replica] = log
    }
}

extension NodeReport.Peer {
    fileprivate init(_ json: inout JSONScanner) throws(JSONError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            switch key.text().string {
            case "replica": replica = try json.replica()
            case "name": name = try json.words()
            case "address": address = try json.words()
            case "state": state = try json.words()
            case "state_ms": inState = try json.count()
            case "linked": isLinked = try json.bool()
            case "link_ms": inLink = try json.count()
            case "has":
                hasTold = try !json.skipNull()
                if hasTold { try json.skipValue() }
            case "lacks": lacks = try NodeReport.Lag(&json)
            case "leads": leads = try NodeReport.Lag(&json)
            case "clock_skew_ms": skew = try json.skipNull() ? nil : Int64(json.integer())
            default: try json.skipValue()
            }
        }
        guard replica != nil else { throw .wrongType }
    }
}

extension NodeReport.Lag {
    fileprivate init(_ json: inout JSONScanner) throws(JSONError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            switch key.text().string {
            case "entries": entries = try json.count()
            case "ms": milliseconds = try json.count()
            default: try json.skipValue()
            }
        }
    }
}

extension JSONScanner {
    fileprivate mutating func words() throws(JSONError) -> String { try string().text().string }

    fileprivate mutating func count() throws(JSONError) -> UInt64 { UInt64(max(0, try integer())) }

    fileprivate mutating func replica() throws(JSONError) -> ReplicaID {
        guard let replica = ReplicaID(try string().text().string) else { throw .wrongType }
        return replica
    }
}

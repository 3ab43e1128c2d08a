import ConvergeCRDT

/// What a frame has named so far, so that it is named once: both sides keep the same, and it ends with the frame.
///
/// The same few replicas stand in each list of a frame, one room in most elements of a list, and entries that lie side by
/// side were written within moments. So a replica is written out once and then is one byte; a room that is the same as
/// the last is one byte; a timestamp is its distance from the last.
struct PeerContext {
    /// References are one byte, and 0 says that the replica follows.
    static let mostReplicas = 255

    /// The first replicas that were written out, in that order.
    private(set) var replicas: [ReplicaID] = []
    var room: Text?
    var timestamp = HybridTimestamp.zero
    /// The dot of the entry before.
    var entry: Dot?

    func index(of replica: ReplicaID) -> Int? {
        // What is named now was most often named just before.
        replicas.lastIndex(of: replica)
    }

    mutating func note(_ replica: ReplicaID) {
        if replicas.count < PeerContext.mostReplicas { replicas.append(replica) }
    }
}

/// A value that is part of a frame. Each has one form in a given context.
protocol PeerField {
    /// The fewest bytes that one takes: a list can't have more elements than its bytes are worth.
    static var fewestBytes: Int { get }

    init(reading reader: inout PeerReader) throws(PeerFrameError)

    func write(to writer: inout PeerWriter)
}

extension HybridTimestamp {
    /// The distance from `other`, with small ones in either direction as small numbers (zigzag). Wraps, so that there is
    /// one for any two.
    func distance(from other: HybridTimestamp) -> UInt64 {
        let difference = Int64(bitPattern: rawValue &- other.rawValue)
        return UInt64(bitPattern: difference &<< 1 ^ difference &>> 63)
    }

    func advanced(by distance: UInt64) -> HybridTimestamp {
        HybridTimestamp(rawValue: rawValue &+ (distance &>> 1 ^ (0 &- (distance & 1))))
    }
}

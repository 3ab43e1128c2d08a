import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// What a core is told once, at its making.
struct CoreOptions: Sendable {
    var nodeName: Text
    var loopCount: Int
    var saveBuffer: Int
    var historyLimit: Int
    /// The most bytes of a message's body, for whoever asks; nil where it is not told.
    var bodyLimit: Int?
    /// What sessions of the second generation are told at their beginning. The number of rooms is kept to here.
    var welcome = WelcomeLimits(rooms: 128, body: 2_000, room: 64, document: 256)
    var systemEvents: SystemEvents
    /// How long entries are kept, in milliseconds; 0 for ever.
    var retention: UInt64 = 0
    /// How long the key of a send is remembered at least, in milliseconds.
    var keyWindow: UInt64 = 0
    /// Nanoseconds between the beginnings of two commits at least; 0: none.
    var commitPace: UInt64 = 0
    var documents = DocumentLimits()
    /// How many of the newest entries of each log stay as they are, whoever has them: for clients that resume, and for
    /// peers that are a little behind. Older document writes that everybody has are folded into their documents.
    var foldTail: UInt64 = 10_000
    var attendance = AttendanceOptions()
    var presence = PresenceOptions()
    var replicator = ReplicatorOptions()
    /// Nil where the node is alone.
    var cluster: ClusterOptions?
    var planted: PlantedFaults = []
    /// A random number that no other process has: the first half of the ids of frames that are not stored.
    var frameSeed: UInt64
}

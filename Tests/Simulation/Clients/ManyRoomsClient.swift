import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire

/// A client of the second generation: in any number of rooms over one connection. What it has been shown of each is in its
/// `Client.views`; here is where it stands with its node.
final class ManyRoomsClient {
    enum Standing {
        /// It is subscribed, and its cursor goes with what it is shown.
        case live
        /// It is subscribed, and wants a resume before its cursor goes on.
        case adrift
    }

    var choices: SplitMix64
    /// The rooms that it is subscribed to, as far as it has been told.
    var standings: [Text: Standing] = [:]
    /// The rooms that it wants to be in, again when a connection has ended.
    var wanted: Set<Text> = []

    init(index: Int, seed: UInt64) { choices = SplitMix64(seed &+ UInt64(index), .manyRooms) }

    func connectionEnded() { standings = [:] }
}

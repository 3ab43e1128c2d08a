import ConvergeCRDT
import ConvergeWire

/// What clients were promised and what they were refused: held against the history in the end.
struct Verdict {
    var refs = 0
    var messages = 0
    private(set) var acknowledged: [Acknowledged] = []
    private var ids: [KeyedSend: String] = [:]
    /// Messages without a key that were refused: they must not be in history.
    private(set) var refusedBodies: [(body: String, room: Text)] = []
    /// Questions that had no answer when their connection went.
    private(set) var open = 0

    private struct KeyedSend: Hashable {
        let room: Text
        let user: Text
        let key: Text
    }

    /// Takes an ack; what is wrong with it at once, if anything.
    mutating func acknowledged(_ ack: Acknowledged) -> String? {
        acknowledged.append(ack)
        guard let key = ack.key else { return nil }
        let send = KeyedSend(room: ack.room, user: ack.user, key: key)
        if let id = ids[send], id != ack.id { return "\(ack.body) has the ids \(id) and \(ack.id)" }
        ids[send] = ack.id
        return nil
    }

    /// What counters were asked to count, by the entry that says so.
    private(set) var amounts: [(dot: Dot, amount: Int)] = []

    mutating func counted(_ dot: Dot, _ amount: Int) { amounts.append((dot, amount)) }

    mutating func refused(_ sent: Client.Sent) { refusedBodies.append((sent.body, sent.room)) }

    mutating func leftOpen(_ sent: Client.Sent) { open += 1 }
}

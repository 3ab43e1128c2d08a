import ConvergeCRDT
import ConvergeWire

/// One transaction: entries, in the order in which this node applies them, and what follows from them.
public struct Batch: Sendable {
    public var entries: [Entry]
    public var effects: [StoreEffect]

    public init(entries: [Entry] = [], effects: [StoreEffect] = []) {
        self.entries = entries
        self.effects = effects
    }
}

/// A change to the store's tables beside the log, decided by the node and made in the same transaction.
public enum StoreEffect: Hashable, Sendable {
    /// The message at `position` was sent with a key and has this id. The earliest position stays, and the entries at
    /// the others are hidden, whichever came first.
    case key(MessageID, position: Position)
    /// The entry is in the log but is not shown: a write that changed nothing.
    case hide(Dot)
    /// The message's payload is erased: its shell takes its place (`EntryChain.redacted`), and it is no longer shown.
    /// Nothing where it is not here, was erased before, or is no message: what other entries say has taken effect.
    case redact(Dot)
    /// What an entry, or a snapshot, does to a document.
    case cells(DocumentChange)
    /// A system entry for (room, user); it stays the last one until another supersedes it.
    case attendance(AttendanceRecord)
    /// A node was met at this address.
    case remember(StoredMember)
    /// The address is not to be dialled any more.
    case forget(address: Text)
}

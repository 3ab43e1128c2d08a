/// In which order the effects of one turn are carried out.
///
/// First comes what others wait for with time to pass: the disk begins to write, and the peers get what they have to store,
/// too. Only then do the loops send to hundreds of clients. Among what is for one of the three the order in which it was
/// decided stays, and none of them depends on another's: what is shown to clients was stored in a turn before.
///
/// The core puts its effects into this order (`NodeCore.endTurn`), so whoever carries them out walks the list once. A
/// process may end between any two of them.
extension CoreEffect {
    /// Whom an effect is for, in the order in which they get theirs.
    enum Addressee: UInt8, Comparable {
        /// The storage writer.
        case disk
        /// The thread of the links.
        case peers
        /// The loops, and what is done on behalf of clients: readers, the log, the end.
        case clients

        static func < (one: Addressee, other: Addressee) -> Bool { one.rawValue < other.rawValue }
    }

    var addressee: Addressee {
        switch self {
        case .openStore, .commit, .prune, .stage, .install, .reload: .disk
        case .dial, .send, .closeLink: .peers
        case .read, .deliver, .pass, .report, .closeSessions, .finished: .clients
        }
    }
}

extension [CoreEffect] {
    /// Whether they stand as they are to be carried out.
    var areInOrder: Bool { zip(self, dropFirst()).allSatisfy { $0.addressee <= $1.addressee } }

    /// Puts the effects of one turn in order. O(n).
    mutating func putInOrder() {
        guard !areInOrder else { return }
        var ordered: [CoreEffect] = []
        ordered.reserveCapacity(count)
        for addressee in [CoreEffect.Addressee.disk, .peers, .clients] {
            for effect in self where effect.addressee == addressee { ordered.append(effect) }
        }
        self = ordered
    }
}

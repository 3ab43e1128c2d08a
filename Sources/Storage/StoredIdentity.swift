// Whether a store's replica may go on, or must be given up for a new one.
//
// Invariant: no two writers ever extend one replica's log from the same place. A copied or restored file, writes lost in
// a crash, or a sync that failed would break it, so in each of these cases the node goes on under a new id and the old
// log stays as it is. The rule is one pure function, shared by the stores that live in one place (memory, SQLite).

import ConvergeCRDT

/// What a store remembers of the process that opened it last.
struct StoredIdentity: Hashable, Sendable {
    var replica: ReplicaID
    /// How many processes have opened the store under this replica.
    var boot: UInt64
    var machine: String
    var machineBoot: String
    var file: FileIdentity
    /// The last writer was closed, with all of its writes synced.
    var clean: Bool
    /// Each commit was synced before it was reported.
    var synced: Bool

    /// The identity to go on under, and why it is another one than `stored`. `head` gives the last stored seq of a
    /// replica; `isBehind` tells that the stored replica's log was longer once.
    ///
    /// Throws `gone` for an empty store under a process that knows something to be committed, and `failed` where a new id
    /// is needed and `start.freshReplica` has been used before.
    static func choose(
        _ stored: StoredIdentity?, at file: FileIdentity, synced: Bool, isBehind: Bool = false, start: WriterStart,
        vector: VersionVector
    ) throws(StoreError) -> (identity: StoredIdentity, renewal: RenewalReason?) {
        if stored == nil, let held = start.held {
            throw .gone("there is nothing in the store, and this node has committed to it as \(held.replica)")
        }
        var identity = StoredIdentity(
            replica: start.freshReplica, boot: 1, machine: start.machine, machineBoot: start.machineBoot, file: file,
            clean: false, synced: synced)
        let renewal = reason(toRenew: stored, at: file, isBehind, start, vector)
        if renewal == nil, let stored {
            identity.replica = stored.replica
            identity.boot = start.held == nil ? stored.boot + 1 : stored.boot
            return (identity, nil)
        }
        let used =
            start.held?.replica == identity.replica || stored?.replica == identity.replica
            || vector[identity.replica] > 0
        if used {
            throw .failed("the replica \(identity.replica) has been used before: each open needs a random one")
        }
        return (identity, renewal)
    }

    private static func reason(
        toRenew stored: StoredIdentity?, at file: FileIdentity, _ isBehind: Bool, _ start: WriterStart,
        _ vector: VersionVector
    ) -> RenewalReason? {
        guard let stored else { return nil }
        if start.renew { return start.reasonToRenew }
        if stored.machine != start.machine || stored.file != file { return .copied }
        if isBehind { return .behind }
        if !stored.clean && !stored.synced && stored.machineBoot != start.machineBoot { return .unclean }
        if let held = start.held {
            if held.replica != stored.replica { return .fenced }
            if vector[held.replica] < held.committed { return .behind }
        }
        return nil
    }
}

/// Tells a file from its copies. Where a file system numbers its device anew at each start this says "a copy" too often,
/// which costs a new replica; it never says it too seldom.
struct FileIdentity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64

    var text: String { "\(device):\(inode)" }

    init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }

    init?(text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let device = UInt64(parts[0]), let inode = UInt64(parts[1]) else { return nil }
        self.init(device: device, inode: inode)
    }
}

// The hash that chains a replica's log, and the ids that are made from keys.
//
// Invariant: hash(n) = first 128 bits of SHA-256(hash(n-1) ‖ header(n) ‖ SHA-256(payload(n))). A log with a changed,
// missing or added entry has other hashes from there on; and because the payload goes in by its own digest, a payload
// can be erased (its digest takes its place) and the chain still be verified.

import COpenSSL
import ConvergeCRDT
import ConvergeWire

/// Computes the hashes of entries. Belongs to one thread; about 0.7 µs an entry.
public final class EntryChain {
    private let digest = Digest()
    private var header = ByteBuffer(capacity: 256)
    private let scratch = UnsafeMutablePointer<UInt8>.allocate(capacity: Digest.byteCount)

    public init() {}

    deinit { scratch.deallocate() }

    /// The hash of `entry`, whose replica's entry before has the hash `previous` (`.zero` before the first). The hash
    /// that the entry itself carries is not looked at.
    public func hash(after previous: EntryHash, _ entry: Entry) -> EntryHash {
        header.removeAll()
        header.appendFixed(previous.high)
        header.appendFixed(previous.low)
        entry.appendHeader(to: &header)
        if entry.isShell {
            entry.payload.withUnsafeBytes { header.append(UnsafeRawBufferPointer(rebasing: $0[..<Digest.byteCount])) }
        } else {
            digest.begin()
            entry.payload.withUnsafeBytes { digest.update($0) }
            digest.finish(into: scratch)
            header.append(UnsafeRawBufferPointer(start: scratch, count: Digest.byteCount))
        }
        let (high, low) = firstHalf(of: header.bytes)
        return EntryHash(high: high, low: low)
    }

    /// Whether `entries`, a run of one replica's log, follow on from `previous` by their own hashes.
    public func verifies(_ entries: some Sequence<Entry>, after previous: EntryHash) -> Bool {
        var previous = previous
        for entry in entries {
            guard hash(after: previous, entry) == entry.hash else { return false }
            previous = entry.hash
        }
        return true
    }

    /// What takes the place of a payload that is erased: its digest, under the flag `redacted`; and behind it the id of
    /// a message that was sent with a key, by which its twins are known.
    public func redacted(_ entry: Entry) -> Entry {
        guard !entry.flags.contains(.redacted) else { return entry }
        var shell = entry
        digest.begin()
        entry.payload.withUnsafeBytes { digest.update($0) }
        digest.finish(into: scratch)
        shell.payload = Array(UnsafeBufferPointer(start: scratch, count: Digest.byteCount))
        if let id = entry.meaning.keyID { id.withBytes { shell.payload += $0 } }
        shell.flags.insert(.redacted)
        return shell
    }

    /// The id of a message that was sent with a key: the same on whichever node it is sent. The first 128 bits of
    /// SHA-256 over room, user and key, each with its length before it.
    public func messageID(room: Text, user: Text, key: Text) -> MessageID {
        header.removeAll()
        header.appendCounted(room)
        header.appendCounted(user)
        header.appendCounted(key)
        let (high, low) = firstHalf(of: header.bytes)
        return MessageID(high: high, low: low)
    }

    /// The id of the `number`-th joined or left of a user in a room: the same on whichever node it is written. Made like
    /// `messageID`, with a byte that begins no key.
    public func eventID(room: Text, user: Text, number: UInt64) -> MessageID {
        header.removeAll()
        header.appendCounted(room)
        header.appendCounted(user)
        header.append(0xFF)
        header.appendVarint(number)
        let (high, low) = firstHalf(of: header.bytes)
        return MessageID(high: high, low: low)
    }

    /// The replica under which the losing suffix of a forked log goes on: it follows from the log's and from the hash of
    /// the suffix's first entry.
    func replica(after replica: ReplicaID, forkedAt hash: EntryHash) -> ReplicaID {
        header.removeAll()
        header.appendFixed(replica.rawValue)
        header.appendFixed(hash.high)
        header.appendFixed(hash.low)
        let half = firstHalf(of: header.bytes).0
        // Once in 2⁶³ hashes it would be nobody's; any other number that follows from the same is as good.
        return ReplicaID(assigned: half) ?? ReplicaID(rawValue: hash.high | 1)
    }

    private func firstHalf(of bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64) {
        digest.begin()
        digest.update(bytes)
        digest.finish(into: scratch)
        let result = UnsafeRawPointer(scratch)
        return (
            UInt64(bigEndian: result.loadUnaligned(as: UInt64.self)),
            UInt64(bigEndian: result.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
    }
}

extension Entry {
    /// Nothing but the digest of an erased payload, and perhaps an id, is left.
    var isShell: Bool {
        flags.contains(.redacted)
            && (payload.count == Digest.byteCount || payload.count == Digest.byteCount + Self.idByteCount)
    }

    private static var idByteCount: Int { 16 }
}

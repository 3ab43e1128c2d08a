import ConvergeCRDT

/// How much of one room a client says it has been shown: `{"NODE":SEQ,…}`, a version vector as text.
///
/// What a client writes here is believed only as far as it goes: it decides what that client is shown, and nothing else.
public enum ClientCursor: Hashable, Sendable {
    case at(VersionVector)
    /// Well-formed, but larger than anybody keeps, or, in a URL, not to be read: nothing can be resumed from it.
    case unusable

    /// The most nodes in a cursor.
    public static let componentLimit = 256
    /// The most bytes of a cursor's text.
    public static let textLimit = 8 << 10

    /// Reads a text that is a cursor and nothing else; `unusable` where it is none. O(n).
    public init(text: UnsafeRawBufferPointer) {
        guard text.count <= Self.textLimit else {
            self = .unusable
            return
        }
        var json = JSONScanner(text)
        do throws(JSONError) {
            self = try json.clientCursor()
            try json.finish()
        } catch {
            self = .unusable
        }
    }
}

extension JSONScanner {
    /// Reads an object of sixteen hexadecimal digits and whole numbers, no less than 0. Of two members with the same name
    /// the later counts.
    mutating func clientCursor() throws(JSONError) -> ClientCursor {
        let start = offset
        var vector = VersionVector()
        var count = 0
        try beginObject()
        while let key = try nextKey() {
            guard let replica = key.withBytes({ ReplicaID(String(decoding: $0, as: UTF8.self)) }) else {
                throw .wrongType
            }
            let seq = try integer()
            guard seq >= 0 else { throw .wrongType }
            count += 1
            if count <= ClientCursor.componentLimit { vector[replica] = UInt64(seq) }
        }
        let fits = count <= ClientCursor.componentLimit && offset - start <= ClientCursor.textLimit
        return fits ? .at(vector) : .unusable
    }
}

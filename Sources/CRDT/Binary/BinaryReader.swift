/// Reads what `BinaryWriter` writes, from bytes that may be anything: it never reads past their end, never makes room
/// for more than they can hold, and refuses what the writer would have written otherwise.
public struct BinaryReader {
    public let bytes: [UInt8]
    public private(set) var offset = 0

    /// The replicas named so far, by their numbers.
    private var replicas: [ReplicaID] = []
    /// The same: a replica must not be named anew.
    private var named: Set<ReplicaID> = []

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public var remaining: Int { bytes.count - offset }

    public mutating func byte() throws(BinaryError) -> UInt8 {
        guard offset < bytes.count else { throw .truncated }
        defer { offset &+= 1 }
        return bytes[offset]
    }

    /// A number in its shortest form.
    public mutating func number() throws(BinaryError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try byte()
            // The tenth byte has room for one bit only; and a last byte of 0 adds nothing to those before it.
            guard shift < 63 || byte <= 1 else { throw .outOfRange }
            guard byte != 0 || shift == 0 else { throw .notCanonical }
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
    }

    /// How many parts of at least `size` bytes each follow: no more than the bytes that are left can hold.
    public mutating func count(ofAtLeast size: Int) throws(BinaryError) -> Int {
        let count = try number()
        guard count <= UInt64(remaining / max(1, size)) else { throw .truncated }
        return Int(count)
    }

    /// Eight bytes, the most significant first.
    public mutating func fixed() throws(BinaryError) -> UInt64 {
        guard remaining >= 8 else { throw .truncated }
        defer { offset &+= 8 }
        return bytes[offset..<offset &+ 8].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The bytes behind their number.
    public mutating func counted() throws(BinaryError) -> ArraySlice<UInt8> {
        let count = try count(ofAtLeast: 1)
        defer { offset &+= count }
        return bytes[offset..<offset &+ count]
    }

    public mutating func replica() throws(BinaryError) -> ReplicaID {
        let number = try number()
        if number < UInt64(replicas.count) { return replicas[Int(number)] }
        guard number == UInt64(replicas.count) else { throw .outOfRange }
        let replica = ReplicaID(rawValue: try fixed())
        guard named.insert(replica).inserted else { throw .notCanonical }
        replicas.append(replica)
        return replica
    }

    /// A dot whose seq is one that a log can have: not 0, and so small that there is always a next.
    public mutating func dot() throws(BinaryError) -> Dot {
        let replica = try replica()
        let seq = try number()
        guard seq > 0, seq <= UInt64(Int64.max) else { throw .outOfRange }
        return Dot(replica: replica, seq: seq)
    }

    /// Dots that are sorted, none twice.
    public mutating func dots() throws(BinaryError) -> DotSet {
        let count = try count(ofAtLeast: 2)
        if count == 1 { return DotSet(try dot()) }
        var sorted: [Dot] = []
        sorted.reserveCapacity(count)
        for _ in 0..<count {
            let dot = try dot()
            if let last = sorted.last, !(last < dot) { throw .notCanonical }
            sorted.append(dot)
        }
        return DotSet(sorted: sorted)
    }

    /// Entries as `append(sorted:)` writes them: sorted by the bytes of their keys, none twice. `size` is the least that a
    /// value takes.
    @inlinable
    public mutating func sorted<Key: BinaryCodable & Hashable, Value>(
        ofAtLeast size: Int, _ value: (inout BinaryReader) throws(BinaryError) -> Value
    ) throws(BinaryError) -> [Key: Value] {
        let count = try count(ofAtLeast: size)
        var entries = [Key: Value](minimumCapacity: count)
        var last = 0..<0
        for index in 0..<count {
            let start = offset
            let key: Key = try withOwnReplicas { reader throws(BinaryError) in try Key(from: &reader) }
            let place = start..<offset
            guard index == 0 || precedes(last, place) else { throw .notCanonical }
            last = place
            // Keys of other bytes can be equal all the same, as two spellings of one string.
            guard entries.updateValue(try value(&self), forKey: key) == nil else { throw .notCanonical }
        }
        return entries
    }

    @usableFromInline
    internal func precedes(_ a: Range<Int>, _ b: Range<Int>) -> Bool {
        bytes.withUnsafeBytes { $0[a].lexicographicallyPrecedes($0[b]) }
    }

    /// A key names its replicas anew.
    @usableFromInline
    internal mutating func withOwnReplicas<Key>(
        _ body: (inout BinaryReader) throws(BinaryError) -> Key
    ) throws(BinaryError) -> Key {
        if replicas.isEmpty {
            let key = try body(&self)
            if !replicas.isEmpty { forgetReplicas() }
            return key
        }
        var outer: (replicas: [ReplicaID], named: Set<ReplicaID>) = ([], [])
        swap(&outer.replicas, &replicas)
        swap(&outer.named, &named)
        let key = try body(&self)
        (replicas, named) = outer
        return key
    }

    private mutating func forgetReplicas() {
        replicas = []
        named = []
    }

    /// The value must end where the bytes do.
    public func finish() throws(BinaryError) {
        guard offset == bytes.count else { throw .trailingBytes }
    }
}

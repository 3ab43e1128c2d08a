/// Collects the bytes of binary forms. Numbers a replica the first time that it is named, so that from then on a byte
/// will do; `BinaryReader` numbers them likewise.
public struct BinaryWriter {
    public private(set) var bytes: [UInt8] = []

    /// Each replica named so far, and its number.
    private var numbers: [ReplicaID: UInt64] = [:]
    /// The last one named: dots of one replica mostly come together.
    private var latest: (replica: ReplicaID, number: UInt64)?

    public init() {}

    @inlinable
    public mutating func append(byte: UInt8) { append(contentsOf: CollectionOfOne(byte)) }

    /// The bytes as they are, without their number: only where the reader knows it.
    public mutating func append(contentsOf some: some Collection<UInt8>) { bytes.append(contentsOf: some) }

    /// 1 to 10 bytes.
    public mutating func append(number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// 8 bytes, the most significant first.
    public mutating func append(fixed value: UInt64) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// The bytes with their number before them.
    public mutating func append(counted some: some Collection<UInt8>) {
        append(number: UInt64(some.count))
        bytes.append(contentsOf: some)
    }

    /// 9 or 10 bytes the first time that a replica is named, from then on 1 or 2.
    public mutating func append(replica: ReplicaID) {
        if let latest, latest.replica == replica { return append(number: latest.number) }
        let next = UInt64(numbers.count)
        let number = numbers[replica] ?? next
        append(number: number)
        if number == next {
            append(fixed: replica.rawValue)
            numbers[replica] = number
        }
        latest = (replica, number)
    }

    public mutating func append(dot: Dot) {
        append(replica: dot.replica)
        append(number: dot.seq)
    }

    public mutating func append(dots: DotSet) {
        append(number: UInt64(dots.count))
        for dot in dots { append(dot: dot) }
    }

    /// The number of entries, then of each its key and what `body` writes of its value, sorted by the bytes of the keys:
    /// the order of a dictionary is another in each process.
    @inlinable
    public mutating func append<Key: BinaryCodable, Value>(
        sorted dictionary: [Key: Value], _ body: (Value, inout BinaryWriter) -> Void
    ) {
        var keys = BinaryWriter()
        var places: [Place<Dictionary<Key, Value>.Index>] = []
        places.reserveCapacity(dictionary.count)
        for at in dictionary.indices {
            let start = keys.bytes.count
            dictionary[at].key.encode(into: &keys)
            keys.forgetReplicas()
            places.append(Place(at: at, key: start..<keys.bytes.count, in: keys.bytes))
        }
        keys.bytes.withUnsafeBytes { bytes in
            places.sort { a, b in
                a.prefix == b.prefix ? bytes[a.key].lexicographicallyPrecedes(bytes[b.key]) : a.prefix < b.prefix
            }
        }
        append(number: UInt64(places.count))
        for place in places {
            append(contentsOf: keys.bytes[place.key])
            body(dictionary[place.at].value, &self)
        }
    }

    /// Where an entry is, and the bytes of its key.
    @usableFromInline
    internal struct Place<Index> {
        @usableFromInline let at: Index
        @usableFromInline let key: Range<Int>
        /// The key's first bytes as a number that sorts like them: most comparisons end here.
        @usableFromInline let prefix: UInt64

        @inlinable
        init(at: Index, key: Range<Int>, in bytes: [UInt8]) {
            self.at = at
            self.key = key
            var prefix: UInt64 = 0
            for place in key.prefix(8) { prefix = prefix << 8 | UInt64(bytes[place]) }
            self.prefix = prefix << (8 * UInt64(8 - min(8, key.count)))
        }
    }

    /// The bytes of a key are the same wherever it stands, so it names its replicas anew.
    @usableFromInline
    internal mutating func forgetReplicas() {
        if latest == nil { return }
        numbers = [:]
        latest = nil
    }
}

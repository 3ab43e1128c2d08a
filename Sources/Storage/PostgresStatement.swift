import ConvergeCRDT
import ConvergeWire

/// One SQL statement and its parameters, in PostgreSQL's binary format (big-endian, arrays with a header).
///
/// Sent unnamed by the extended protocol: nothing of it outlives the transaction, as a transaction pooler demands.
/// A batch is a few statements over arrays (`unnest`), not one a row. All texts that come from users are `bytea`: they
/// compare byte by byte whatever the database's collation, and may hold U+0000, which PostgreSQL's `text` refuses.
///
///     array  ┌ dimensions 4 ┬ has null 4 ┬ element type 4 ┬ length 4 ┬ lower bound 4 ┬ (length 4, bytes)… ┐
struct PostgresStatement {
    /// Types by their fixed numbers (pg_type.h).
    enum TypeID {
        static let bool: UInt32 = 16
        static let bytea: UInt32 = 17
        static let int8: UInt32 = 20
        static let int2: UInt32 = 21
        static let boolArray: UInt32 = 1000
        static let byteaArray: UInt32 = 1001
        static let int2Array: UInt32 = 1005
        static let int8Array: UInt32 = 1016
    }

    let sql: String
    private(set) var types: [UInt32] = []
    /// Where each parameter's bytes lie in `bytes`; nil is NULL.
    private(set) var ranges: [Range<Int>?] = []
    private(set) var bytes: [UInt8] = []

    init(_ sql: String) { self.sql = sql }

    // MARK: single values, bound in the order of $1, $2, …

    func binding(_ value: Int64) -> PostgresStatement {
        with(TypeID.int8) { Self.put(value, into: &$0) }
    }

    func binding(_ value: Bool) -> PostgresStatement {
        with(TypeID.bool) { $0.append(value ? 1 : 0) }
    }

    func binding(_ value: [UInt8]) -> PostgresStatement {
        with(TypeID.bytea) { $0 += value }
    }

    func binding(_ value: Text) -> PostgresStatement {
        with(TypeID.bytea) { Self.put(value, into: &$0) }
    }

    // MARK: arrays

    func binding<C: Collection>(each items: C, int8 value: (C.Element) -> Int64) -> PostgresStatement {
        array(items, TypeID.int8Array, of: TypeID.int8) { into, item in Self.put(value(item), into: &into) }
    }

    func binding<C: Collection>(each items: C, int2 value: (C.Element) -> Int16) -> PostgresStatement {
        array(items, TypeID.int2Array, of: TypeID.int2) { into, item in
            let bits = UInt16(bitPattern: value(item))
            into.append(UInt8(truncatingIfNeeded: bits >> 8))
            into.append(UInt8(truncatingIfNeeded: bits))
        }
    }

    func binding<C: Collection>(each items: C, bool value: (C.Element) -> Bool) -> PostgresStatement {
        array(items, TypeID.boolArray, of: TypeID.bool) { into, item in into.append(value(item) ? 1 : 0) }
    }

    func binding<C: Collection>(each items: C, bytes value: (C.Element) -> [UInt8]) -> PostgresStatement {
        array(items, TypeID.byteaArray, of: TypeID.bytea) { into, item in into += value(item) }
    }

    func binding<C: Collection>(each items: C, text value: (C.Element) -> Text) -> PostgresStatement {
        array(items, TypeID.byteaArray, of: TypeID.bytea) { into, item in Self.put(value(item), into: &into) }
    }

    func binding<C: Collection>(each items: C, optionalBytes value: (C.Element) -> [UInt8]?) -> PostgresStatement {
        with(TypeID.byteaArray) { bytes in
            Self.header(items.count, hasNull: true, of: TypeID.bytea, into: &bytes)
            for item in items {
                if let value = value(item) {
                    Self.put(UInt32(value.count), into: &bytes)
                    bytes += value
                } else {
                    Self.put(UInt32.max, into: &bytes)
                }
            }
        }
    }

    func binding<C: Collection>(each items: C, optionalInt8 value: (C.Element) -> Int64?) -> PostgresStatement {
        with(TypeID.int8Array) { bytes in
            Self.header(items.count, hasNull: true, of: TypeID.int8, into: &bytes)
            for item in items {
                if let number = value(item) {
                    Self.put(UInt32(8), into: &bytes)
                    Self.put(number, into: &bytes)
                } else {
                    Self.put(UInt32.max, into: &bytes)
                }
            }
        }
    }

    // MARK: bytes

    private func with(_ type: UInt32, _ write: (inout [UInt8]) -> Void) -> PostgresStatement {
        var copy = self
        let start = copy.bytes.count
        write(&copy.bytes)
        copy.types.append(type)
        copy.ranges.append(start..<copy.bytes.count)
        return copy
    }

    private func array<C: Collection>(
        _ items: C, _ type: UInt32, of element: UInt32, _ write: (inout [UInt8], C.Element) -> Void
    ) -> PostgresStatement {
        with(type) { bytes in
            Self.header(items.count, hasNull: false, of: element, into: &bytes)
            for item in items {
                let at = bytes.count
                Self.put(UInt32(0), into: &bytes)
                write(&bytes, item)
                let length = UInt32(bytes.count - at - 4)
                for byte in 0..<4 { bytes[at + byte] = UInt8(truncatingIfNeeded: length >> (24 - 8 * byte)) }
            }
        }
    }

    private static func header(_ count: Int, hasNull: Bool, of element: UInt32, into bytes: inout [UInt8]) {
        put(UInt32(count == 0 ? 0 : 1), into: &bytes)
        put(UInt32(hasNull ? 1 : 0), into: &bytes)
        put(element, into: &bytes)
        guard count > 0 else { return }
        put(UInt32(count), into: &bytes)
        put(UInt32(1), into: &bytes)
    }

    private static func put(_ value: Int64, into bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
    }

    private static func put(_ value: UInt32, into bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
    }

    private static func put(_ text: Text, into bytes: inout [UInt8]) {
        text.withUTF8 { bytes += $0 }
    }
}

// A replica's id has all 64 bits: as a signed `bigint` it keeps its order with the top bit turned over.
extension ReplicaID {
    var postgres: Int64 { Int64(bitPattern: rawValue ^ 1 << 63) }
    init(postgres value: Int64) { self.init(rawValue: UInt64(bitPattern: value) ^ 1 << 63) }
}

// Timestamps and seqs stay below 2⁶³ (BatchRules); what a client asks for beyond that is beyond all rows.
extension HybridTimestamp {
    var postgres: Int64 { Int64(clamping: rawValue) }
    init(postgres value: Int64) { self.init(rawValue: UInt64(clamping: value)) }
}

extension Dot {
    var postgresSeq: Int64 { Int64(clamping: seq) }
}

extension EntryHash {
    var postgres: [UInt8] { bytes128(high, low) }
    init(postgres bytes: [UInt8]) {
        let (high, low) = words128(bytes)
        self.init(high: high, low: low)
    }
}

extension MessageID {
    var postgres: [UInt8] { bytes128(high, low) }
    init(postgres bytes: [UInt8]) {
        let (high, low) = words128(bytes)
        self.init(high: high, low: low)
    }
}

private func bytes128(_ high: UInt64, _ low: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(16)
    withUnsafeBytes(of: high.bigEndian) { bytes += $0 }
    withUnsafeBytes(of: low.bigEndian) { bytes += $0 }
    return bytes
}

/// Zero where there are not 16 bytes.
private func words128(_ bytes: [UInt8]) -> (UInt64, UInt64) {
    guard bytes.count == 16 else { return (0, 0) }
    func word(_ at: Int) -> UInt64 { bytes[at..<at + 8].reduce(0) { $0 << 8 | UInt64($1) } }
    return (word(0), word(8))
}

extension PostgresStatement {
    /// Three parameters: ts, replica, seq.
    func binding(positions: [Position]) -> PostgresStatement {
        binding(each: positions, int8: \.timestamp.postgres).binding(each: positions, int8: \.dot.replica.postgres)
            .binding(each: positions, int8: \.dot.postgresSeq)
    }

    /// Three parameters: room, kind, name.
    func binding(documents: [DocumentID]) -> PostgresStatement {
        binding(each: documents, text: \.room).binding(each: documents, int2: { Int16($0.kind.rawValue) })
            .binding(each: documents, text: \.name)
    }

    /// Two parameters: replica, seq.
    func binding(dots: [Dot]) -> PostgresStatement {
        binding(each: dots, int8: \.replica.postgres).binding(each: dots, int8: \.postgresSeq)
    }
}

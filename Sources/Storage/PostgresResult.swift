import CPostgres
import ConvergeCRDT
import ConvergeWire

/// The rows that one statement gave back, in binary format.
///
/// A value of another width than asked for reads as zero or empty rather than trapping: what a server sends is foreign.
final class PostgresResult {
    private let raw: OpaquePointer
    let count: Int

    /// Takes over a libpq result.
    init(_ raw: OpaquePointer) {
        self.raw = raw
        count = Int(PQntuples(raw))
    }

    deinit { PQclear(raw) }

    /// What the statement did: `UPDATE 1`, `COMMIT`.
    var tag: String { PQcmdStatus(raw).map { String(cString: $0) } ?? "" }

    /// How many rows the statement changed.
    var affected: Int { PQcmdTuples(raw).flatMap { Int(String(cString: $0)) } ?? 0 }

    func isNull(_ row: Int, _ column: Int32) -> Bool { PQgetisnull(raw, Int32(row), column) == 1 }

    func bytes(_ row: Int, _ column: Int32) -> UnsafeRawBufferPointer {
        guard row < count, column < PQnfields(raw), let value = PQgetvalue(raw, Int32(row), column) else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return UnsafeRawBufferPointer(start: value, count: Int(PQgetlength(raw, Int32(row), column)))
    }

    /// `smallint`, `integer` or `bigint`.
    func int(_ row: Int, _ column: Int32) -> Int64 {
        let value = bytes(row, column)
        guard let first = value.first, value.count <= 8 else { return 0 }
        return value.dropFirst().reduce(Int64(Int8(bitPattern: first))) { $0 << 8 | Int64($1) }
    }

    func bool(_ row: Int, _ column: Int32) -> Bool { bytes(row, column).first == 1 }

    func array(_ row: Int, _ column: Int32) -> [UInt8] { [UInt8](bytes(row, column)) }

    func text(_ row: Int, _ column: Int32) -> Text { Text(decoding: bytes(row, column)) }

    func optionalText(_ row: Int, _ column: Int32) -> Text? { isNull(row, column) ? nil : text(row, column) }

    func replica(_ row: Int, _ column: Int32) -> ReplicaID { ReplicaID(postgres: int(row, column)) }

    func timestamp(_ row: Int, _ column: Int32) -> HybridTimestamp { HybridTimestamp(postgres: int(row, column)) }

    /// The columns `replica, seq`, from `column` on.
    func dot(_ row: Int, _ column: Int32) -> Dot {
        Dot(replica: replica(row, column), seq: UInt64(clamping: int(row, column + 1)))
    }

    /// The columns `ts, replica, seq`, from `column` on.
    func position(_ row: Int, _ column: Int32) -> Position {
        Position(timestamp: timestamp(row, column), dot: dot(row, column + 1))
    }
}

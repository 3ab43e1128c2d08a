import ConvergeCRDT
import ConvergeWire

extension StoreWriter {
    public func stage(_ chunk: SnapshotChunk) throws(StoreError) { throw .failed("not yet") }
    public func discardStage() throws(StoreError) {}
    public func install(_ final: SnapshotChunk, have: VersionVector) throws(StoreError) -> Recovered {
        throw .failed("not yet")
    }
}
extension StoreReader {
    public func range(_ ranges: [LogRange], limit bytes: Int) throws(StoreError) -> RangeRead {
        throw .failed("not yet")
    }
    public func snapshot(_ want: SnapshotWant) throws(StoreError) -> SnapshotChunk { throw .failed("not yet") }
    public func attendance(of seats: [(room: Text, user: Text)]) throws(StoreError) -> [AttendanceRecord] {
        throw .failed("not yet")
    }
    public func hash(of dot: Dot) throws(StoreError) -> EntryHash? { throw .failed("not yet") }
}

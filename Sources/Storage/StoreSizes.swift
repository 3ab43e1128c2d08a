/// What a store takes on the disk, in bytes.
public struct StoreSizes: Hashable, Sendable {
    public var database: Int
    /// The write-ahead log beside it.
    public var writeAheadLog: Int

    public init(database: Int, writeAheadLog: Int) {
        self.database = database
        self.writeAheadLog = writeAheadLog
    }
}

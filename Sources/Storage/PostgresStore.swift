import ConvergeCRDT
import ConvergeWire

/// A node's log in a PostgreSQL database, which other nodes may share: each writes a replica of its own there.
///
/// A node is found again by its name: nodes that share a database need different names. What is durable is what the
/// server says is: with its `synchronous_commit` off, an acknowledged message can be lost with the server.
public struct PostgresStore: Store {
    /// Each operation's limit, connecting included. Loading documents on opening may take longer, as long as it gets on.
    public let timeout: Duration
    private let address: PostgresAddress
    /// Tells this process's epochs from others'; see PostgresIdentity.
    private let holder: Int64

    /// - Parameter dsn: a libpq connection string, `postgres://user:password@host:port/database?sslmode=…` or
    ///   `host=… dbname=…`; what it leaves out comes from libpq's environment variables and defaults.
    public init(dsn: String, timeout: Duration = .seconds(2)) {
        self.timeout = timeout
        address = PostgresAddress(dsn)
        holder = Int64.random(in: 1...Int64.max)
    }

    public var summary: String { address.summary }

    /// Whether libpq can read the connection string: to be refused at the start, where it can't. Reaches for nothing.
    public static func isReadable(dsn: String) -> Bool { PostgresAddress(dsn).isReadable }

    public func openWriter(_ start: WriterStart) throws(StoreError) -> (writer: any StoreWriter, recovered: Recovered) {
        let connection = try connect()
        try PostgresSchema.migrate(connection, within: timeout)
        let taken = try PostgresIdentity.takeReplica(
            start, holder: holder, connection, by: PostgresDeadline(after: timeout))
        let adopted = try PostgresAdoption.adopt(under: taken, connection, within: timeout)
        let recovered = try PostgresIdentity.recover(
            taken, adopted: adopted, attendanceLimit: start.attendanceLimit, connection, within: timeout)
        let writer = PostgresWriter(
            connection, taken: taken, recovered: recovered, attendanceLimit: start.attendanceLimit, timeout: timeout
        )
        return (writer, recovered)
    }

    func connect() throws(StoreError) -> PostgresConnection {
        try PostgresConnection(to: address, by: PostgresDeadline(after: timeout))
    }

    public func openReader() throws(StoreError) -> any StoreReader {
        try PostgresReader(address: address, timeout: timeout)
    }
}

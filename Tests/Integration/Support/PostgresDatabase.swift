// A new, empty database on the server that CONVERGE_TEST_POSTGRES names, gone with this object.

import CPostgres
import Foundation

final class PostgresDatabase {
    static let server = ProcessInfo.processInfo.environment["CONVERGE_TEST_POSTGRES"]

    private let name = "test_" + UUID().uuidString.filter(\.isHexDigit).lowercased()
    let dsn: String

    init() throws {
        guard let server = Self.server, var url = URLComponents(string: server) else {
            throw TestFailure("no server to test on")
        }
        url.path = "/" + name
        dsn = url.string ?? server
        try Self.execute("CREATE DATABASE \(name)", on: server)
    }

    deinit { try? Self.execute("DROP DATABASE IF EXISTS \(name) WITH (FORCE)", on: Self.server ?? "") }

    /// Ends all connections to the database.
    func endBackends() throws {
        try Self.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
            """, on: dsn)
    }

    private static func execute(_ sql: String, on dsn: String) throws {
        let connection = PQconnectdb(dsn)
        defer { PQfinish(connection) }
        let result = PQexec(connection, sql)
        defer { PQclear(result) }
        let status = PQresultStatus(result)
        guard status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK else {
            throw TestFailure(connection.flatMap { PQerrorMessage($0) }.map { String(cString: $0) } ?? "no connection")
        }
    }
}

// A database of its own for each test, on the server that CONVERGE_TEST_POSTGRES names.

import CPostgres
import ConvergeStorage
import Foundation

/// A new, empty database; dropped by `remove`.
struct PostgresTestDatabase: Sendable {
    let name: String
    /// Where to reach it.
    let dsn: String
    private let server: String

    /// - Parameter server: the DSN of a throw-away server, as a URL; its user may make databases.
    init(on server: String) throws {
        self.server = server
        name = "test_" + UUID().uuidString.filter(\.isHexDigit).lowercased()
        guard var url = URLComponents(string: server) else { throw StoreError.failed("not a URL: the test server") }
        try Self.execute("CREATE DATABASE \(name)", on: server)
        url.path = "/" + name
        dsn = url.string ?? server
    }

    func remove() { _ = try? Self.execute("DROP DATABASE IF EXISTS \(name) WITH (FORCE)", on: server) }

    /// Runs SQL in the database, past the store; gives the first column of the rows.
    @discardableResult
    func execute(_ sql: String) throws -> [String] { try Self.execute(sql, on: dsn) }

    /// The same database by way of another port.
    func dsn(port: UInt16) throws -> String {
        guard var url = URLComponents(string: dsn) else { throw StoreError.failed("not a URL") }
        url.port = Int(port)
        return url.string ?? dsn
    }

    /// The same database by way of the pooler of this DSN.
    func dsn(through pooler: String) throws -> String {
        guard let port = URLComponents(string: pooler)?.port else { throw StoreError.failed("not a URL: the pooler") }
        return try dsn(port: UInt16(port))
    }

    var port: UInt16 { UInt16(URLComponents(string: dsn)?.port ?? 5432) }

    var password: String { URLComponents(string: dsn)?.password ?? "" }

    /// Ends the store's connections to this database, as an operator or a crash would; returns how many there were.
    @discardableResult
    func terminateBackends() throws -> Int {
        try Self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(name)'", on: server
        ).count
    }

    @discardableResult
    static func execute(_ sql: String, on dsn: String) throws -> [String] {
        let connection = PQconnectdb(dsn)
        defer { PQfinish(connection) }
        let result = PQexec(connection, sql)
        defer { PQclear(result) }
        let status = PQresultStatus(result)
        guard status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK else {
            throw StoreError.failed(connection.flatMap { PQerrorMessage($0) }.map { String(cString: $0) } ?? "?")
        }
        guard PQnfields(result) > 0 else { return [] }
        return (0..<PQntuples(result)).map { String(cString: PQgetvalue(result, $0, 0)) }
    }
}

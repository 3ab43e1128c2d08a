// What is shown of a connection string.

import ConvergeStorage
import Testing

@Suite("Postgres connection strings")
struct PostgresAddressTests {
    @Test(
        "the summary names host, port and database",
        arguments: [
            ("postgres://me:geheim@db.example:5433/chat?sslmode=disable", "postgres db.example:5433/chat"),
            ("host=db dbname=chat user=me password='geheim'", "postgres db:5432/chat"),
            ("postgresql://me:geheim@[::1]/", "postgres ::1:5432/me"),
            ("host=/run/postgresql user=me", "postgres /run/postgresql:5432/me"),
        ])
    func summary(dsn: String, expected: String) {
        #expect(PostgresStore(dsn: dsn).summary == expected)
        #expect(PostgresStore.isReadable(dsn: dsn))
    }

    @Test(
        "no piece of the password is shown, also where the string is malformed",
        arguments: [
            "postgres://me:geheim@127.0.0.1:1/chat",
            "postgres://me:geh/eim@127.0.0.1:1/chat",
            "postgres://me:x@geheim@127.0.0.1:1/chat",
            "postgres://me:geheim@127.0.0.1:1/chat?nonsense=geheim",
            "host=127.0.0.1 port=1 password=a geheim",
            "host=127.0.0.1 port=1 dbname=geheim password=geheim connect_timeout=geheim",
            "geheim",
        ])
    func secrets(dsn: String) {
        let store = PostgresStore(dsn: dsn, timeout: .seconds(5))
        let thrown = error { () throws(StoreError) in _ = try store.openWriter(.test()) }
        #expect(thrown?.name == "unreachable")
        #expect(thrown?.message.contains("geh") == false || dsn.contains("dbname=geheim"))
        #expect(thrown?.message.contains("eim") == false)
        #expect(!store.summary.contains("eim") || dsn.contains("dbname=geheim"))
    }
}

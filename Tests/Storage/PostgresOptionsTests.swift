import Testing

@testable import ConvergeStorage

/// Connection strings that libpq would take for something else than was meant, told before anything is connected to.
@Suite("PostgreSQL's connection options")
struct PostgresOptionsTests {
    @Test(
        "what libpq reads as it was meant is taken",
        arguments: [
            "postgres://ana@db/chat", "postgres://ana:pw@db:5432/chat?sslmode=verify-full", "postgres:///chat",
            "postgresql://ana:p%40ss%2Fw%25@db/chat", "postgres://ana:p:w#?!@db/chat",
            "postgres://db/chat?user=ana@server",
            "postgres://a@[::1]:5433,b:5434/chat?target_session_attrs=read-write",
            "postgres://ana:p%40s@%40socket/chat",
            "host=/var/run/postgresql dbname=chat user=ana", "host=a,b port=5432,5433", "host=db password='two words'",
            "host=@socket dbname=chat", "host=db password=p@ss/w?x%zz", "service=chat", "host=db sslmode=disable",
        ])
    func takes(dsn: String) {
        #expect(PostgresOptions.problem(in: dsn) == nil)
    }

    @Test(
        "an option that there is not is named",
        arguments: [
            ("postgres://ana@db/chat?sslmod=require", "sslmod"), ("postgres://ana:pw@db/chat?timeout=3", "timeout"),
            ("host=db sslmod=require", "sslmod"), ("hots=db dbname=chat", "hots"),
        ])
    func unknown(dsn: String, name: String) {
        #expect(PostgresOptions.problem(in: dsn) == "must not have the option \"\(name)\", which libpq does not know")
    }

    @Test(
        "a password that falls apart is refused, and no piece of it is told",
        arguments: [
            "postgres://ana:hunter@two@db/chat", "postgres://ana:hunter@@db/chat", "postgres://ana:hunter/two@db/chat",
            "postgres://ana:12/hunter@db/chat", "postgres://ana:hunter%two@db/chat", "postgres://ana:hunter%@db/chat",
            "postgres://ana:hunter/x?two=y@db/chat", "postgres://ana:12/x?hunter=y@db/chat",
            "postgres://ana:1/hunter?two@db/chat",
            "host=db password=hunter two=x", "host=db password='hunter", "host=db password=hunter two",
            "host=db sslpassword=a hunter=two", "host=db oauth_client_secret=a hunter=two",
        ])
    func fallsApart(dsn: String) {
        let problem = PostgresOptions.problem(in: dsn) ?? ""
        #expect(problem.hasPrefix("must ") && !problem.contains("hunter") && !problem.contains("\"two\""), "\(problem)")
    }

    @Test("values that would fail only when it connects are told, too")
    func values() {
        #expect(PostgresOptions.problem(in: "host=db port=99999") == "must have a port from 1 to 65535")
        #expect(PostgresOptions.problem(in: "host=db port=0") == "must have a port from 1 to 65535")
        #expect(
            PostgresOptions.problem(in: "postgres://db/chat?sslmode=required")
                == "must have an sslmode of disable, allow, prefer, require, verify-ca, verify-full")
    }
}

import Testing

@testable import ConvergeNode

@Suite("Connection strings")
struct ConnectionStringTests {
    @Test(
        "passwords are masked, the rest is shown",
        arguments: [
            ("postgres://ana:pw@db:5432/chat", "postgres://ana:********@db:5432/chat"),
            ("postgresql://ana@db/chat?sslmode=require", "postgresql://ana@db/chat?sslmode=require"),
            ("postgres://db/chat?user=ana&password=pw&x=1", "postgres://db/chat?user=ana&password=********&x=1"),
            ("postgres://ana:p@ss@db/chat", "postgres://ana:********@db/chat"),
            ("postgres://ana:p/w?x@db/chat", "postgres://ana:********@db/chat"),
            ("postgres://db/chat?%70assword=pw", "postgres://db/chat?%70assword=********"),
            ("postgres:///chat", "postgres:///chat"),
            ("host=db password=pw dbname=chat", "host=db password=******** dbname=chat"),
            ("host=db password='p w \\' x' dbname=chat", "host=db password=******** dbname=chat"),
            ("host = db password = pw", "host=db password=********"),
            ("host=db PASSWORD=pw sslpassword=k", "host=db PASSWORD=******** sslpassword=********"),
            ("dbname='my chat'", "dbname='my chat'"),
            ("password=a\\ b host=db", "password=******** host=db"),
        ])
    func masks(text: String, masked: String) {
        #expect(ConnectionString(text)?.masked == masked)
    }

    @Test("a password is noticed")
    func secrets() {
        #expect(ConnectionString("postgres://ana:pw@db/chat")?.hasSecret == true)
        #expect(ConnectionString("host=db password=pw")?.hasSecret == true)
        #expect(ConnectionString("postgres://ana@db/chat")?.hasSecret == false)
        #expect(ConnectionString("host=db")?.hasSecret == false)
    }

    @Test(
        "what is neither a URL nor pairs is refused",
        arguments: [
            "", "db", "mysql://db/chat", "host", "host=db chat", "=db", "password='open", "host=a\u{0}", "h-t=1",
        ])
    func refuses(text: String) {
        #expect(ConnectionString(text) == nil)
    }
}

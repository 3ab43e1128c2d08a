import ConvergeNode
import ConvergeStorage

/// `converge backup FILE`: a copy of the node's SQLite file, also while the node runs.
enum BackUp {
    static func run(_ words: [String]) -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Mistake) {
            arguments = try Arguments(words, flags: [.init("db")])
        } catch {
            return Console.misused(error.message)
        }
        guard arguments.positional.count == 1, let file = arguments.positional.first, !file.isEmpty else {
            return Console.misused("backup needs the name of the new file: converge backup FILE")
        }
        let environment = Console.environment
        let path: String
        if let given = arguments.values["db"] {
            path = given
        } else {
            switch environment["CONVERGE_DB_ADAPTER"]?.lowercased() {
            case nil, "", "sqlite": break
            case "postgres", "postgresql":
                return Console.failed(
                    "CONVERGE_DB_ADAPTER is postgres: back the database up with PostgreSQL's own tools, such as pg_dump"
                )
            case let other?:
                return Console.misused("CONVERGE_DB_ADAPTER=\"\(Console.escaped(other))\": must be sqlite or postgres")
            }
            let set = environment["CONVERGE_DB_PATH"] ?? ""
            path = set.isEmpty ? Settings().sqlitePath : set
        }
        do throws(SQLiteBackup.Failure) {
            let report = try SQLiteBackup.run(from: path, to: file)
            let logs = report.vector.components.count
            Console.say(
                """
                \(Console.escaped(path)) is copied to \(Console.escaped(file)): \(report.bytes) bytes, \
                \(report.entries) entries, \(logs) \(logs == 1 ? "log" : "logs").
                The replica's identity is left out: a node that is started with the copy is a new replica, with all of this.

                """)
            return 0
        } catch {
            return Console.failed(Console.escaped(error.message))
        }
    }
}

import ConvergeCRDT
import ConvergeNode
import ConvergeStorage
import ConvergeTransport
import ConvergeWire

/// `converge redate`: gives entries that a wrong clock has dated far ahead other dates, in a database that no node writes.
enum Redate {
    static func run(_ words: [String]) -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Mistake) {
            arguments = try Arguments(words, flags: [.init("db"), .init("dsn"), .init("dry-run", isSwitch: true)])
        } catch {
            return Console.misused(error.message)
        }
        guard arguments.positional.isEmpty else { return Console.misused("redate takes no words, only flags") }
        guard let database = Database(arguments.values, Console.environment) else {
            return Console.misused(
                "which database? CONVERGE_DB_ADAPTER must be sqlite or postgres, and postgres needs CONVERGE_DB_DSN")
        }
        let isTrial = arguments.values["dry-run"] != nil
        let bound = HybridTimestamp(
            milliseconds: SystemClock.wallMilliseconds() + HybridClock.tolerance, counter: .max)
        do throws(StoreError) {
            Console.say(summary(try database.redate(laterThan: bound, isTrial), isTrial))
            return 0
        } catch {
            return Console.failed(Console.escaped(error.message))
        }
    }

    private enum Database {
        case sqlite(String)
        case postgres(String)

        init?(_ flags: [String: String], _ environment: [String: String]) {
            if let path = flags["db"] {
                self = .sqlite(path)
                return
            }
            let dsn = flags["dsn"] ?? environment["CONVERGE_DB_DSN"] ?? ""
            switch environment["CONVERGE_DB_ADAPTER"]?.lowercased() {
            case nil where flags["dsn"] != nil, "" where flags["dsn"] != nil, "postgres", "postgresql":
                guard !dsn.isEmpty else { return nil }
                self = .postgres(dsn)
            case nil, "", "sqlite":
                let set = environment["CONVERGE_DB_PATH"] ?? ""
                self = .sqlite(set.isEmpty ? Settings().sqlitePath : set)
            default: return nil
            }
        }

        func redate(laterThan bound: HybridTimestamp, _ isTrial: Bool) throws(StoreError) -> Redated {
            switch self {
            case .sqlite(let path): try SQLiteRedating.run(path, laterThan: bound, isTrial: isTrial)
            case .postgres(let dsn): try PostgresStore(dsn: dsn).redate(laterThan: bound, isTrial: isTrial)
            }
        }
    }

    private static func summary(_ redated: Redated, _ isTrial: Bool) -> String {
        guard redated.before != redated.after || !redated.logs.isEmpty else {
            return "Nothing is dated over 24 hours ahead: the latest is of \(moment(redated.before)).\n"
        }
        var text = ""
        for log in redated.logs {
            text += "\(log.replica): \(log.entries) \(log.entries == 1 ? "entry" : "entries") from \(log.from) on\n"
        }
        return text + (isTrial ? "would be dated anew" : "are dated anew")
            + ": the latest was of \(moment(redated.before)), and \(isTrial ? "would be" : "is") of "
            + "\(moment(redated.after)).\n"
    }

    private static func moment(_ timestamp: HybridTimestamp) -> String {
        var text = ByteBuffer()
        var timestamps = TimestampWriter()
        timestamps.append(milliseconds: timestamp.milliseconds, to: &text)
        return String(decoding: text.bytes, as: UTF8.self)
    }
}

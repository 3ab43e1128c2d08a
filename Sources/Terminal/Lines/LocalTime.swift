import ConvergeWire
import Glibc

/// Shows a frame's timestamp as this machine's clock would: `12:03`, with the date where it isn't today.
enum LocalTime {
    static func short(_ timestamp: String) -> String {
        guard let moment = ReadTimestamp(rfc3339: Text(timestamp)) else { return "--:--" }
        var then = time_t(moment.milliseconds / 1_000)
        var now = time(nil)
        var local = tm()
        var today = tm()
        guard localtime_r(&then, &local) != nil, localtime_r(&now, &today) != nil else { return "--:--" }
        let clock = "\(two(local.tm_hour)):\(two(local.tm_min))"
        guard local.tm_year != today.tm_year || local.tm_yday != today.tm_yday else { return clock }
        return "\(Int(local.tm_year) + 1900)-\(two(local.tm_mon + 1))-\(two(local.tm_mday)) \(clock)"
    }

    /// Seconds east of UTC here at a moment, given in milliseconds since 1970.
    static func offset(at milliseconds: Int64) -> Int {
        var then = time_t(milliseconds / 1_000)
        var local = tm()
        return localtime_r(&then, &local) == nil ? 0 : local.tm_gmtoff
    }

    private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

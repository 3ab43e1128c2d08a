import ConvergeTransport
import Glibc

/// What the kernel says of this process: memory, processor time, descriptors, threads. Read when somebody asks.
struct ProcessFigures: Sendable {
    var residentBytes = 0
    var virtualBytes = 0
    /// The most that was ever resident.
    var peakBytes = 0
    /// Of all threads, in user and in system mode.
    var processorSeconds = 0.0
    /// Seconds since 1970.
    var startedAt = 0.0
    /// Those in the table that most threads share; a loop's connections are in its own (`DescriptorTable`).
    var openDescriptors = 0
    /// How many a table may have.
    var mostDescriptors = 0

    static func read() -> ProcessFigures {
        var figures = ProcessFigures()
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let memory = words(of: "/proc/self/statm").compactMap { Int($0) }
        if memory.count > 1 {
            figures.virtualBytes = memory[0] * page
            figures.residentBytes = memory[1] * page
        }
        var usage = rusage()
        if getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
            figures.peakBytes = usage.ru_maxrss * 1_024
            figures.processorSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        }
        figures.startedAt = start
        figures.openDescriptors = names(in: "/proc/self/fd").count
        figures.mostDescriptors = descriptorLimit
        return figures
    }

    /// How many descriptors a table may have.
    static var descriptorLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int(clamping: limit.rlim_cur)
    }

    /// When the process was started; the kernel counts from the machine's start.
    private static let start: Double = {
        let now = Double(SystemClock.wallMilliseconds()) / 1_000
        var sinceBoot = timespec()
        let stat = StatLine("/proc/self/stat")
        guard clock_gettime(CLOCK_BOOTTIME, &sinceBoot) == 0, let stat else { return now }
        let started = Double(stat.startTicks) / Double(sysconf(Int32(_SC_CLK_TCK)))
        return now - (Double(sinceBoot.tv_sec) + Double(sinceBoot.tv_nsec) * 1e-9 - started)
    }()

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }

    // MARK: Threads

    struct Thread: Sendable {
        let name: String
        let state: String
        let processorSeconds: Double
    }

    /// The threads of this process, as the kernel has them.
    static func threads() -> [Thread] {
        let tick = Double(sysconf(Int32(_SC_CLK_TCK)))
        return names(in: "/proc/self/task").compactMap { id in
            guard let stat = StatLine("/proc/self/task/\(id)/stat") else { return nil }
            let state =
                switch stat.state {
                case "R": "running"
                case "S": "sleeping"
                case "D": "waiting for the disk"
                case "T", "t": "stopped"
                default: stat.state
                }
            return Thread(name: stat.name, state: state, processorSeconds: Double(stat.ticks) / tick)
        }
    }

    /// `PID (NAME) STATE …`, proc(5): the name may have blanks and parentheses in it.
    private struct StatLine {
        let name: String
        let state: String
        let ticks: Int
        let startTicks: Int

        init?(_ path: String) {
            let text = ProcessFigures.text(of: path)
            guard let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"), open < close else {
                return nil
            }
            name = String(text[text.index(after: open)..<close])
            // From the third field on.
            let rest = text[text.index(after: close)...].split(separator: " ")
            guard rest.count > 19, let user = Int(rest[11]), let system = Int(rest[12]), let start = Int(rest[19])
            else {
                return nil
            }
            state = String(rest[0])
            ticks = user + system
            startTicks = start
        }
    }

    // MARK: Reading

    private static func words(of path: String) -> [Substring] { text(of: path).split(separator: " ") }

    private static func text(of path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 1_024)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        return String(decoding: buffer[..<max(count, 0)], as: UTF8.self)
    }

    private static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

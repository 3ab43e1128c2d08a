import ConvergeTerminal
import Glibc

/// What the command says: results on standard output, complaints on standard error.
enum Console {
    static func say(_ text: String) { write(text, to: 1) }

    static func complain(_ text: String) { write(text, to: 2) }

    /// Complains in one line and gives the exit status for "it didn't work".
    static func failed(_ text: String) -> Int32 {
        complain("converge: \(text)\n")
        return 1
    }

    /// Complains in one line and gives the exit status for "not asked for rightly".
    static func misused(_ text: String) -> Int32 {
        complain("converge: \(text)\n")
        return 2
    }

    static func escaped(_ text: String) -> String { TerminalText.escaped(text) }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno != EINTR { return }
            bytes = bytes.dropFirst(max(count, 0))
        }
    }

    /// The process's environment. Of a variable that stands there twice the first counts, as for getenv.
    static var environment: [String: String] {
        var variables: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            next += 1
            let text = String(cString: entry)
            guard let equals = text.firstIndex(of: "=") else { continue }
            let name = String(text[..<equals])
            if variables[name] == nil { variables[name] = String(text[text.index(after: equals)...]) }
        }
        return variables
    }
}

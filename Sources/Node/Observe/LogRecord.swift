import ConvergeWire

/// One event for the log, before anybody has decided how it looks: when, how grave, what, and its fields.
///
/// The event is a fixed text, so that lines of one kind can be searched and counted; whatever varies is a field.
struct LogRecord: Sendable {
    /// Milliseconds since 1970.
    let time: UInt64
    let level: LogLevel
    let event: String
    let fields: [LogField]

    /// About what it takes in memory, for the bound on what waits.
    var cost: Int {
        fields.reduce(128) { $0 + 64 + ($1.value.text?.utf8.count ?? 0) }
    }
}

/// A name, and a value of a type: a number stays one where the format knows numbers.
struct LogField: Hashable, Sendable {
    let name: String
    let value: LogValue

    init(_ name: String, _ value: any LogValueConvertible) {
        self.name = name
        self.value = value.logValue
    }
}

enum LogValue: Hashable, Sendable {
    case text(String)
    case number(Int64)
    case real(Double)
    case flag(Bool)
    /// In text `1m30s`, in JSON a number of seconds.
    case duration(Duration)

    fileprivate var text: String? {
        if case .text(let text) = self { text } else { nil }
    }
}

/// What can be a field's value, so that whoever logs writes `("port", port)`.
protocol LogValueConvertible {
    var logValue: LogValue { get }
}

extension LogValue: LogValueConvertible {
    var logValue: LogValue { self }
}

extension String: LogValueConvertible {
    var logValue: LogValue { .text(self) }
}

extension Text: LogValueConvertible {
    var logValue: LogValue { .text(string) }
}

extension Bool: LogValueConvertible {
    var logValue: LogValue { .flag(self) }
}

extension Double: LogValueConvertible {
    var logValue: LogValue { .real(self) }
}

extension Duration: LogValueConvertible {
    var logValue: LogValue { .duration(self) }
}

extension LogValueConvertible where Self: FixedWidthInteger {
    /// What is larger than any number of the format's stays exact as text.
    var logValue: LogValue { Int64(exactly: self).map { .number($0) } ?? .text(String(self)) }
}

extension Int: LogValueConvertible {}
extension Int32: LogValueConvertible {}
extension Int64: LogValueConvertible {}
extension UInt16: LogValueConvertible {}
extension UInt32: LogValueConvertible {}
extension UInt64: LogValueConvertible {}

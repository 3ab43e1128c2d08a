import ConvergeWire
import FoundationEssentials

/// One event for the log, before anybody has decided how it looks: when, how grave, what, and its fields.
///
/// The event is a fixed text, so that lines of one kind can be searched and counted; whatever varies is a field.
public struct LogRecord: Sendable {
    /// Milliseconds since 1970.
    let time: UInt64
    public let level: LogLevel
    public let event: String
    /// The first is the node's name, `node`. None is ever a token, a secret or a message's body.
    public let fields: [LogField]

    /// When it happened, to the millisecond.
    public var date: Date { Date(timeIntervalSince1970: Double(time) / 1_000) }

    /// About what it takes in memory, for the bound on what waits.
    var cost: Int {
        fields.reduce(128) { $0 + 64 + ($1.value.text?.utf8.count ?? 0) }
    }
}

extension LogRecord: CustomStringConvertible {
    /// The line that a node writes of it, without the line end.
    public var description: String {
        var line = ByteBuffer(capacity: 256)
        LogLine.append(self, .text, to: &line)
        return String(decoding: line.bytes.dropLast(), as: UTF8.self)
    }
}

/// A name, and a value of a type: a number stays one where the format knows numbers.
public struct LogField: Hashable, Sendable {
    public let name: String
    public let value: LogValue

    init(_ name: String, _ value: any LogValueConvertible) {
        self.name = name
        self.value = value.logValue
    }
}

public enum LogValue: Hashable, Sendable {
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

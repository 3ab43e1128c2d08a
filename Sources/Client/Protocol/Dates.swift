import ConvergeWire
import FoundationEssentials

// The moments of what a server says, as Foundation's dates. `timestamp` is the server's own text, RFC 3339.

extension ChatLine {
    /// When it was stored, to the nanosecond as far as a `Date` holds it; nil where the server didn't say. O(1).
    public var date: Date? { Date(rfc3339: timestamp) }
}

extension Receipt {
    /// When it was stored; nil where the server didn't say. O(1).
    public var date: Date? { Date(rfc3339: timestamp) }
}

extension DocumentEvent {
    /// When the change was stored, or the question answered; nil where the server didn't say. O(1).
    public var date: Date? { Date(rfc3339: timestamp) }
}

extension Date {
    fileprivate init?(rfc3339 text: String) {
        guard let read = ReadTimestamp(rfc3339: Text(text)) else { return nil }
        self.init(timeIntervalSince1970: Double(read.milliseconds) / 1_000 + Double(read.nanoseconds) / 1e9)
    }
}

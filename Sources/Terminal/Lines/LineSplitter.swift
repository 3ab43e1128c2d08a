/// Cuts input into lines, however it comes in pieces. A line over the limit is dropped whole and told as such, so that
/// input without an end takes no memory.
struct LineSplitter {
    enum Line: Hashable { case text(String), tooLong }

    private var pending: [UInt8] = []
    private var isSkipping = false
    private let limit: Int

    init(limit: Int = 1 << 20) { self.limit = limit }

    mutating func feed(_ bytes: some Sequence<UInt8>) -> [Line] {
        var lines: [Line] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                lines.append(take())
            } else if pending.count >= limit {
                isSkipping = true
            } else {
                pending.append(byte)
            }
        }
        return lines
    }

    /// The last line, where it doesn't end in a newline.
    mutating func finish() -> Line? { pending.isEmpty && !isSkipping ? nil : take() }

    private mutating func take() -> Line {
        defer {
            pending.removeAll(keepingCapacity: true)
            isSkipping = false
        }
        if isSkipping { return .tooLong }
        if pending.last == UInt8(ascii: "\r") { pending.removeLast() }
        return .text(String(decoding: pending, as: UTF8.self))
    }
}

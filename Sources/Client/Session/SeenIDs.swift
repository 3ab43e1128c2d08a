import ConvergeWire

/// The ids of the last lines that were shown, so that none is shown twice.
///
/// A window: it holds the newest ids, those of `capacity` lines at least. What a cursor can't tell to be a repeat (a line shown while it was not
/// advanced, or stored on two nodes under one key) repeats soon or not at all.
struct SeenIDs: Sendable {
    private let capacity: Int
    private var ids: Set<MessageID> = []
    private var ring: [MessageID] = []
    private var oldest = 0

    init(capacity: Int = 4_096) { self.capacity = 2 * max(capacity, 1) }

    /// True where the line is new; one without an id always is.
    ///
    /// An id that is just the place in a log names two lines where a node's disk was set back and the log written anew from
    /// there: those stand at different times. The one that did not stay in that log is moved to another, and keeps its id and
    /// its time: then it is what was shown at its former place. Lines with any other id are the same where that is, as two
    /// writes under one key are, whenever they were written.
    mutating func insert(_ line: ChatLine) -> Bool {
        guard !line.id.isEmpty else { return true }
        let id = Self.number(line.id)
        guard let position = line.position else { return insert(id) }
        let atTime = Self.hashed("\(line.id)@\(position.timestamp.rawValue)")
        let isPlace = id == MessageID(position.dot)
        guard !ids.contains(atTime), isPlace || !ids.contains(id) else { return false }
        if !isPlace { insert(id) }
        return insert(atTime)
    }

    /// True where the id is new; ids that are empty always are.
    mutating func insert(_ text: String) -> Bool { text.isEmpty || insert(Self.number(text)) }

    @discardableResult
    private mutating func insert(_ id: MessageID) -> Bool {
        guard ids.insert(id).inserted else { return false }
        if ring.count < capacity {
            ring.append(id)
        } else {
            ids.remove(ring[oldest])
            ring[oldest] = id
            oldest = (oldest + 1) % capacity
        }
        return true
    }

    /// The number that 32 hexadecimal digits are; of any other text a hash in 128 bits (FNV-1a, twice).
    private static func number(_ text: String) -> MessageID {
        var words: (UInt64, UInt64) = (0, 0)
        var count = 0
        for byte in text.utf8 {
            let digit: UInt8
            switch byte {
            case 0x30...0x39: digit = byte - 0x30
            case 0x61...0x66: digit = byte - 0x57
            default: return hashed(text)
            }
            if count < 16 { words.0 = words.0 << 4 | UInt64(digit) } else { words.1 = words.1 << 4 | UInt64(digit) }
            count += 1
        }
        return count == 32 ? MessageID(high: words.0, low: words.1) : hashed(text)
    }

    private static func hashed(_ text: String) -> MessageID {
        var words: (UInt64, UInt64) = (0xCBF2_9CE4_8422_2325, 0x8422_2325_CBF2_9CE4)
        for byte in text.utf8 {
            words.0 = (words.0 ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
            words.1 = (words.1 ^ UInt64(byte) ^ 0x55) &* 0x0000_0100_0000_01B3
        }
        return MessageID(high: words.0, low: words.1)
    }
}

/// Turns one connection's bytes into WebSocket messages, pings, pongs and the close; RFC 6455, sections 5 to 8.
///
/// It plays either side: the role decides only which frames must be masked. It owns no socket and answers nothing, it
/// says what came. Invariants:
/// - However the bytes are cut up, the steps are the same.
/// - A message that lies whole, in one frame, in the input is unmasked there and handed out as a pointer into it:
///   nothing is copied or allocated. Anything else is gathered in `assembly`, which exists only while a message or a
///   control frame is incomplete.
/// - All input is taken before `needMore`, so the caller never keeps bytes.
/// - What is gathered never exceeds the limit of a message plus one control frame; a frame too big is refused by its
///   header, before its payload comes.
/// - Text is known to be UTF-8 as far as it has come; the first bad byte ends the connection, not the message's last.
public struct WebSocketMachine: ~Copyable {
    /// Which side of the connection this is; the other side's frames are what is read.
    public enum Role: Sendable {
        case server
        case client
    }

    public struct Limits: Hashable, Sendable {
        /// The largest message, all its fragments together; at most 4 GiB - 1.
        public var maxMessageBytes: Int
        /// The most fragments that may continue a message after its first.
        public var maxFragments: Int
        /// Binary messages must be UTF-8, too, and are handed out as text.
        public var binaryIsText: Bool

        public init(maxMessageBytes: Int = 65_536, maxFragments: Int = 65_536, binaryIsText: Bool = true) {
            self.maxMessageBytes = maxMessageBytes
            self.maxFragments = maxFragments
            self.binaryIsText = binaryIsText
        }
    }

    /// What came. Pointers are valid until the next call, and as long as the input they were read from.
    public enum Step {
        /// The input is used up.
        case needMore
        /// A whole message; `.text` (valid UTF-8) or `.binary`.
        case message(WebSocketOpcode, UnsafeRawBufferPointer)
        case ping(UnsafeRawBufferPointer)
        case pong(UnsafeRawBufferPointer)
        /// The other side closes; nothing is read after it. The reason is valid UTF-8; the code is nil without one.
        case close(CloseCode?, reason: UnsafeRawBufferPointer)
        /// The other side broke the protocol; nothing is read after it. Answer with the violation's close code.
        case fail(WebSocketViolation)
    }

    private enum Phase: UInt8 {
        case header
        case payload
        /// A close or a violation has been handed out.
        case finished
    }

    /// What the step before handed out of `assembly`, to be dropped now.
    private enum Lent: UInt8 {
        case nothing
        case message
        case control
    }

    /// The fragments of the message so far, behind them the begun control frame's payload.
    private var assembly = ByteBuffer()
    /// The beginning of a header that the input ended in.
    private var partialHeader: (UInt64, UInt64) = (0, 0)
    private let maxMessageBytes: UInt32
    private let maxFragments: UInt32
    private var fragments: UInt32 = 0
    /// Of the frame being read: the mask for its next byte, the bytes that are still to come.
    private var mask: UInt32 = 0
    private var remaining: UInt32 = 0
    private var partialHeaderCount: UInt8 = 0
    private var opcode = WebSocketOpcode.continuation
    private var isFinal = false
    /// A control frame's whole length.
    private var controlLength: UInt8 = 0
    /// The message that is being gathered; `.continuation` for none.
    private var messageOpcode = WebSocketOpcode.continuation
    private var phase = Phase.header
    private var lent = Lent.nothing
    private var validator = UTF8Validator()
    private let role: Role
    private let binaryIsText: Bool

    public init(role: Role, limits: Limits = Limits()) {
        self.role = role
        maxMessageBytes = UInt32(clamping: limits.maxMessageBytes)
        maxFragments = UInt32(clamping: limits.maxFragments)
        binaryIsText = limits.binaryIsText
    }

    /// Whether a close or a violation has come: whatever is fed from now on is dropped.
    public var isFinished: Bool { phase == .finished }

    /// The memory held for an incomplete message, in bytes.
    public var assemblyCapacity: Int { assembly.capacity }

    /// Takes the next thing out of `input`, from `offset` on, and moves `offset` past it. Call it until it says
    /// `needMore`; then `offset` is the end of the input. Payloads are unmasked in place. O(bytes taken).
    public mutating func next(_ input: UnsafeMutableRawBufferPointer, _ offset: inout Int) -> Step {
        if lent != .nothing { dropLent() }
        do throws(WebSocketViolation) {
            while true {
                switch phase {
                case .header:
                    guard let header = try readHeader(input, &offset) else { return .needMore }
                    try begin(header)
                case .payload:
                    let wanted = Int(remaining)
                    let taken = min(wanted, input.count - offset)
                    let chunk = UnsafeMutableRawBufferPointer(rebasing: input[offset..<(offset + taken)])
                    offset += taken
                    try check(chunk)
                    if taken < wanted {
                        assembly.append(UnsafeRawBufferPointer(chunk))
                        remaining -= UInt32(truncatingIfNeeded: taken)
                        mask = Masking.advanced(mask, by: taken)
                        return .needMore
                    }
                    remaining = 0
                    phase = .header
                    if opcode.isControl { return try finishControl(chunk) }
                    if let step = try finishData(chunk) { return step }
                case .finished:
                    offset = input.count
                    return .needMore
                }
            }
        } catch {
            finish()
            offset = input.count
            return .fail(error)
        }
    }

    // MARK: Headers

    private mutating func readHeader(
        _ input: UnsafeMutableRawBufferPointer, _ offset: inout Int
    ) throws(WebSocketViolation) -> WebSocketFrame? {
        let available = input.count - offset
        guard available > 0, let base = input.baseAddress else { return nil }
        if partialHeaderCount == 0 {
            if let header = try WebSocketFrame.decodeHeader(base + offset, count: available, masked: role == .server) {
                offset += header.headerLength
                return header
            }
        }
        return try continueHeader(UnsafeRawBufferPointer(rebasing: input[offset...]), &offset)
    }

    /// Puts the input behind the part of a header that came before. What is copied beyond the header does no harm.
    private mutating func continueHeader(
        _ input: UnsafeRawBufferPointer, _ offset: inout Int
    ) throws(WebSocketViolation) -> WebSocketFrame? {
        let before = Int(partialHeaderCount)
        let count = min(before + input.count, WebSocketFrame.maximumHeaderLength)
        let masked = role == .server
        let copied = UnsafeRawBufferPointer(rebasing: input[..<(count - before)])
        let header = try withUnsafeMutableBytes(of: &partialHeader) { stored throws(WebSocketViolation) in
            UnsafeMutableRawBufferPointer(rebasing: stored[before...]).copyMemory(from: copied)
            return try stored.baseAddress.flatMap { base throws(WebSocketViolation) in
                try WebSocketFrame.decodeHeader(base, count: count, masked: masked)
            }
        }
        guard let header else {
            partialHeaderCount = UInt8(truncatingIfNeeded: count)
            offset += copied.count
            return nil
        }
        partialHeaderCount = 0
        offset += header.headerLength - before
        return header
    }

    /// Checks a header against the message that is being gathered, and gets ready for the payload.
    private mutating func begin(_ header: WebSocketFrame) throws(WebSocketViolation) {
        switch header.opcode {
        case .ping, .pong, .close:
            controlLength = UInt8(truncatingIfNeeded: header.payloadLength)
        case .text, .binary:
            if messageOpcode != .continuation { throw .interruptedMessage }
            if header.payloadLength > UInt64(maxMessageBytes) { throw .messageTooBig }
            messageOpcode = header.opcode == .text || binaryIsText ? .text : .binary
        case .continuation:
            if messageOpcode == .continuation { throw .strayContinuation }
            if fragments >= maxFragments { throw .tooManyFragments }
            if header.payloadLength > UInt64(maxMessageBytes) - UInt64(assembly.count) { throw .messageTooBig }
            fragments += 1
        }
        opcode = header.opcode
        isFinal = header.isFinal
        mask = header.mask ?? 0
        remaining = UInt32(truncatingIfNeeded: header.payloadLength)
        phase = .payload
    }

    // MARK: Payloads

    /// Unmasks the chunk, and checks it if it is text.
    @inline(__always)
    private mutating func check(_ chunk: UnsafeMutableRawBufferPointer) throws(WebSocketViolation) {
        let isText = !opcode.isControl && messageOpcode == .text
        if role == .server {
            let union = Masking.apply(mask, to: chunk)
            // Unmasking has seen already whether all of it is ASCII, which most of the world's bytes are.
            if union & 0x80 == 0, validator.isComplete { return }
        }
        if isText, !validator.feed(UnsafeRawBufferPointer(chunk)) { throw .invalidText }
    }

    /// `chunk` ends a data frame: the message, if it ends with it.
    private mutating func finishData(_ chunk: UnsafeMutableRawBufferPointer) throws(WebSocketViolation) -> Step? {
        let last = UnsafeRawBufferPointer(chunk)
        guard isFinal else {
            assembly.append(last)
            return nil
        }
        if !validator.isComplete { throw .invalidText }
        let kind = messageOpcode
        messageOpcode = .continuation
        fragments = 0
        if assembly.isEmpty {
            // Fragments that were all empty leave nothing, too.
            return .message(kind, last)
        }
        assembly.append(last)
        lent = .message
        return .message(kind, assembly.bytes)
    }

    /// `chunk` ends a control frame.
    private mutating func finishControl(_ chunk: UnsafeMutableRawBufferPointer) throws(WebSocketViolation) -> Step {
        var payload = UnsafeRawBufferPointer(chunk)
        let length = Int(controlLength)
        if chunk.count < length {
            assembly.append(payload)
            payload = assembly.bytes((assembly.count - length)..<assembly.count)
            lent = .control
        }
        switch opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        case .close: return try finishClose(payload)
        case .continuation, .text, .binary: preconditionFailure("\(opcode) is no control frame")
        }
    }

    private mutating func finishClose(_ payload: UnsafeRawBufferPointer) throws(WebSocketViolation) -> Step {
        phase = .finished
        guard payload.count >= 2 else { return .close(nil, reason: payload) }
        let code = CloseCode(rawValue: UInt16(bigEndian: payload.loadUnaligned(as: UInt16.self)))
        let reason = UnsafeRawBufferPointer(rebasing: payload[2...])
        if !code.isSendable { throw .invalidCloseCode }
        if !UTF8Validator.isValid(reason) { throw .invalidCloseReason }
        return .close(code, reason: reason)
    }

    // MARK: Memory

    private mutating func dropLent() {
        if lent == .control { assembly.truncate(to: assembly.count - Int(controlLength)) }
        if lent == .message || assembly.isEmpty { assembly.removeAll(keeping: 0) }
        if phase == .finished { assembly.removeAll(keeping: 0) }
        lent = .nothing
    }

    private mutating func finish() {
        phase = .finished
        lent = .nothing
        assembly.removeAll(keeping: 0)
    }
}

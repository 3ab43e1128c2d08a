/// One WebSocket frame's header, read and written, and whole frames appended to a buffer. RFC 6455, section 5.2.
///
///      0               1               2               3
///     +-+-+-+-+-------+-+-------------+-------------------------------+
///     |F|R|R|R| opcode|M| length      | extended length: none for up  |
///     |I|S|S|S|       |A| 0 to 125,   | to 125, 2 bytes (after 126)   |
///     |N|V|V|V|       |S| 126 or 127  | or 8 (after 127), big-endian  |
///     | |1|2|3|       |K|             |                               |
///     +-+-+-+-+-------+-+-------------+-------------------------------+
///     | masking key, 4 bytes, if MASK | payload ...
///     +-------------------------------+-------------------------------+
public struct WebSocketFrame: Hashable, Sendable {
    public var isFinal: Bool
    public var opcode: WebSocketOpcode
    public var payloadLength: UInt64
    /// The masking key as a little-endian number: the key's first byte is the lowest. Nil without a mask.
    public var mask: UInt32?

    public init(_ opcode: WebSocketOpcode, isFinal: Bool = true, payloadLength: Int, mask: UInt32? = nil) {
        self.opcode = opcode
        self.isFinal = isFinal
        self.payloadLength = UInt64(payloadLength)
        self.mask = mask
    }

    /// No header is longer: 2 bytes, 8 of length, 4 of mask.
    public static let maximumHeaderLength = 14
    /// No unmasked header, as a server writes it, is longer.
    public static let maximumServerHeaderLength = 10
    public static let maximumControlPayload = 125

    /// How many bytes the header in front of `payload` bytes takes.
    public static func headerLength(for payload: Int, masked: Bool = false) -> Int {
        (payload < 126 ? 2 : payload <= 0xFFFF ? 4 : 10) + (masked ? 4 : 0)
    }

    /// How long the payload is of an unmasked frame of so many bytes: the inverse of the length that `headerLength` gives.
    public static func serverPayloadLength(ofFrame length: Int) -> Int {
        length < 2 + 126 ? max(0, length - 2) : length <= 4 + 0xFFFF ? length - 4 : length - 10
    }

    public var headerLength: Int { Self.headerLength(for: Int(clamping: payloadLength), masked: mask != nil) }

    // MARK: Reading

    /// Reads the header that `bytes` begin with; nil where more bytes are needed to know it. Every rule that can be
    /// checked on the bytes that are there is checked, in the order of the bytes, so that cutting them up differently
    /// never gives another result. Since only the shortest form of a length is taken, the header that was read is as
    /// long as `headerLength` says.
    static func decodeHeader(
        _ bytes: UnsafeRawPointer, count: Int, masked: Bool
    ) throws(WebSocketViolation) -> WebSocketFrame? {
        guard count >= 1 else { return nil }
        let first = bytes.load(as: UInt8.self)
        if first & 0x70 != 0 { throw .reservedBits }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else { throw .reservedOpcode }
        let isFinal = first & 0x80 != 0
        if opcode.isControl, !isFinal { throw .fragmentedControl }

        guard count >= 2 else { return nil }
        let second = bytes.load(fromByteOffset: 1, as: UInt8.self)
        if second & 0x80 == 0, masked { throw .notMasked }
        if second & 0x80 != 0, !masked { throw .masked }
        var length = UInt64(second & 0x7F)
        if opcode.isControl, length > 125 { throw .longControl }
        if opcode == .close, length == 1 { throw .truncatedCloseCode }

        var at = 2
        if length == 126 {
            guard count >= 4 else { return nil }
            length = UInt64(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            if length < 126 { throw .nonMinimalLength }
            at = 4
        } else if length == 127 {
            guard count >= 10 else { return nil }
            length = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            if length >> 63 != 0 { throw .lengthOverflow }
            if length <= 0xFFFF { throw .nonMinimalLength }
            at = 10
        }
        var frame = WebSocketFrame(opcode, isFinal: isFinal, payloadLength: 0)
        frame.payloadLength = length
        if masked {
            guard count >= at + 4 else { return nil }
            frame.mask = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        }
        return frame
    }

    // MARK: Writing

    /// Writes the header at `place`, where `headerLength` bytes must have room, and returns that length.
    @discardableResult
    public func writeHeader(at place: UnsafeMutablePointer<UInt8>) -> Int {
        let raw = UnsafeMutableRawPointer(place)
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        place[0] = (isFinal ? 0x80 : 0) | opcode.rawValue
        var at = 2
        if payloadLength < 126 {
            place[1] = maskBit | UInt8(truncatingIfNeeded: payloadLength)
        } else if payloadLength <= 0xFFFF {
            place[1] = maskBit | 126
            raw.storeBytes(of: UInt16(truncatingIfNeeded: payloadLength).bigEndian, toByteOffset: 2, as: UInt16.self)
            at = 4
        } else {
            place[1] = maskBit | 127
            raw.storeBytes(of: payloadLength.bigEndian, toByteOffset: 2, as: UInt64.self)
            at = 10
        }
        if let mask {
            raw.storeBytes(of: mask.littleEndian, toByteOffset: at, as: UInt32.self)
            at += 4
        }
        return at
    }

    /// Writes the header so that it ends where the payload, already written, begins, and returns its length: the frame
    /// starts that many bytes before `payload`. At least `headerLength` bytes must be free there.
    @discardableResult
    public func writeHeader(before payload: UnsafeMutablePointer<UInt8>) -> Int {
        writeHeader(at: payload - headerLength)
    }

    /// Appends a whole frame. With a `mask` (a client's frames, an unpredictable key for each) the payload is masked.
    public static func append(
        _ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer, isFinal: Bool = true, mask: UInt32? = nil,
        to buffer: inout ByteBuffer
    ) {
        let frame = WebSocketFrame(opcode, isFinal: isFinal, payloadLength: payload.count, mask: mask)
        let place = buffer.reserve(frame.headerLength + payload.count)
        let header = frame.writeHeader(at: place)
        if let source = payload.baseAddress {
            let target = UnsafeMutableRawBufferPointer(start: place + header, count: payload.count)
            target.baseAddress?.copyMemory(from: source, byteCount: payload.count)
            if let mask { Masking.apply(mask, to: target) }
        }
        buffer.commit(header + payload.count)
    }

    /// Appends a close frame. A reason over 123 bytes is cut at a character; a code that must not be on the wire
    /// (`absent`, `abnormal` …) gives a frame without code or reason.
    public static func appendClose(
        _ code: CloseCode, reason: Text = "", mask: UInt32? = nil, to buffer: inout ByteBuffer
    ) {
        guard code.isSendable else {
            append(.close, UnsafeRawBufferPointer(start: nil, count: 0), mask: mask, to: &buffer)
            return
        }
        withUnsafeTemporaryAllocation(byteCount: maximumControlPayload, alignment: 2) { payload in
            payload.storeBytes(of: code.rawValue.bigEndian, as: UInt16.self)
            let length = reason.withUTF8 { utf8 in
                var length = min(utf8.count, maximumControlPayload - 2)
                while length > 0, length < utf8.count, utf8[length] & 0xC0 == 0x80 { length -= 1 }
                UnsafeMutableRawBufferPointer(rebasing: payload[2...]).copyBytes(from: utf8[..<length])
                return length
            }
            append(.close, UnsafeRawBufferPointer(rebasing: payload[..<(2 + length)]), mask: mask, to: &buffer)
        }
    }
}

import ConvergeWire

extension WebSocketFrame {
    /// How long the header is of the unmasked frame at the start of `bytes`.
    static func serverHeaderLength(_ bytes: UnsafeRawBufferPointer) -> Int {
        switch bytes.count > 1 ? bytes[1] & 0x7F : 0 {
        case 126: 4
        case 127: 10
        default: 2
        }
    }

    /// The whole length of the unmasked frame at the start of `bytes`; all of `bytes` where they end in its header.
    static func serverFrameLength(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard bytes.count >= 2 else { return bytes.count }
        switch bytes[1] & 0x7F {
        case 126:
            guard bytes.count >= 4 else { return bytes.count }
            return 4 + (Int(bytes[2]) << 8 | Int(bytes[3]))
        case 127:
            guard bytes.count >= 10 else { return bytes.count }
            return 10 + bytes[2..<10].reduce(0) { $0 << 8 | Int($1) }
        case let short: return 2 + Int(short)
        }
    }
}

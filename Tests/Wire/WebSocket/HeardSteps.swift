import ConvergeWire

/// A machine's step with its bytes copied out: what a test compares.
enum Heard: Equatable {
    case message(WebSocketOpcode, [UInt8])
    case ping([UInt8])
    case pong([UInt8])
    case close(UInt16?, [UInt8])
    case fail(WebSocketViolation)

    static func text(_ text: String) -> Heard { .message(.text, Array(text.utf8)) }

    init?(_ step: WebSocketMachine.Step) {
        switch step {
        case .needMore: return nil
        case .message(let opcode, let bytes): self = .message(opcode, Array(bytes))
        case .ping(let bytes): self = .ping(Array(bytes))
        case .pong(let bytes): self = .pong(Array(bytes))
        case .close(let code, let reason): self = .close(code?.rawValue, Array(reason))
        case .fail(let violation): self = .fail(violation)
        }
    }
}

extension WebSocketMachine {
    /// Everything that the machine hears in these bytes; they are copied, as the machine unmasks in place.
    mutating func hear(_ bytes: [UInt8]) -> [Heard] {
        var input = bytes
        var heard: [Heard] = []
        input.withUnsafeMutableBytes { input in
            var offset = 0
            while let step = Heard(next(input, &offset)) { heard.append(step) }
            precondition(offset == input.count, "needMore before the end of the input")
        }
        return heard
    }

    static func hear(
        _ pieces: [[UInt8]], role: Role = .server, limits: Limits = Limits(binaryIsText: false)
    ) -> [Heard] {
        var machine = WebSocketMachine(role: role, limits: limits)
        var heard: [Heard] = []
        for piece in pieces { heard += machine.hear(piece) }
        return heard
    }
}

/// A frame as the other side writes it, without any of the writer's good manners.
func rawFrame(
    _ first: UInt8, _ payload: [UInt8], mask: UInt32? = 0x3D21_FA37, declared: UInt64? = nil, lengthBytes: Int? = nil
) -> [UInt8] {
    let length = declared ?? UInt64(payload.count)
    let width = lengthBytes ?? (length < 126 ? 0 : length <= 0xFFFF ? 2 : 8)
    var bytes = [first, (mask == nil ? 0 : 0x80) | (width == 0 ? UInt8(length) : width == 2 ? 126 : 127)]
    for index in (0..<width).reversed() { bytes.append(UInt8(truncatingIfNeeded: length >> (8 * UInt64(index)))) }
    guard let mask else { return bytes + payload }
    let key = (0..<4).map { UInt8(truncatingIfNeeded: mask >> (8 * UInt32($0))) }
    return bytes + key + payload.enumerated().map { $1 ^ key[$0 % 4] }
}

func rawFrame(_ first: UInt8, _ payload: String, mask: UInt32? = 0x3D21_FA37) -> [UInt8] {
    rawFrame(first, Array(payload.utf8), mask: mask)
}

import ConvergeWire

// WebSocket frames (RFC 6455): however the bytes are cut, the same steps come out; text is UTF-8; nothing comes after
// the end; what is gathered stays under the limit.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWebSocket(_ start: UnsafeRawPointer, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    // The first byte chooses the side and the limits.
    guard let choice = bytes.first else { return 0 }
    let input = [UInt8](bytes.dropFirst())
    let whole = steps(in: input, pieces: max(1, input.count), choice)
    precondition(whole == steps(in: input, pieces: 1, choice), "cut into bytes, the steps are others")
    precondition(whole == steps(in: input, pieces: 5, choice), "cut into fives, the steps are others")
    return 0
}

private func steps(in input: [UInt8], pieces: Int, _ choice: UInt8) -> [String] {
    let limit = choice & 2 == 0 ? 65_536 : 100
    var machine = WebSocketMachine(
        role: choice & 1 == 0 ? .server : .client,
        limits: .init(maxMessageBytes: limit, maxFragments: 4, binaryIsText: choice & 4 == 0))
    var steps: [String] = []
    var from = 0
    while from < input.count {
        var piece = Array(input[from..<min(input.count, from + pieces)])
        from += piece.count
        piece.withUnsafeMutableBytes { piece in
            var offset = 0
            while true {
                let wasFinished = machine.isFinished
                let step = machine.next(piece, &offset)
                precondition((0...piece.count).contains(offset), "read past the input")
                switch step {
                case .needMore:
                    precondition(offset == piece.count, "bytes are left though more are wanted")
                    return
                case .message(let opcode, let payload):
                    precondition(payload.count <= limit, "a message over the limit")
                    if opcode == .text {
                        precondition(String(validating: payload, as: UTF8.self) != nil, "text that is not UTF-8")
                    }
                    steps.append("message \(opcode) \(Array(payload))")
                case .ping(let payload): steps.append("ping \(Array(payload))")
                case .pong(let payload): steps.append("pong \(Array(payload))")
                case .close(let code, let reason):
                    precondition(String(validating: reason, as: UTF8.self) != nil, "a reason that is not UTF-8")
                    steps.append("close \(code?.rawValue ?? 0) \(Array(reason))")
                case .fail(let violation): steps.append("fail \(violation)")
                }
                precondition(!wasFinished, "a step after the end")
            }
        }
    }
    return steps
}

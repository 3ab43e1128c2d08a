import ConvergeCRDT
import ConvergeWire

// Client frames: a frame or an error, whatever the bytes are; what was read and is written again is read as the same.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ start: UnsafeRawPointer, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    let isText = String(validating: bytes, as: UTF8.self) != nil

    var json = JSONScanner(bytes)
    var isJSON = false
    do throws(JSONError) {
        try json.skipValue()
        try json.finish()
        isJSON = true
    } catch {
        precondition((0...count).contains(json.offset), "read past the input")
    }

    for generation in ProtocolGeneration.allCases {
        do throws(ClientFrameError) {
            let frame = try ClientFrame.decode(bytes, as: generation)
            precondition(isJSON, "a frame that is not JSON")
            if isText { checkRoundTrip(frame, generation) }
        } catch {
            var encoder = ServerFrameEncoder(generation)
            var out = ByteBuffer()
            encoder.error(
                FrameStamp(id: MessageID(high: 0, low: 0), milliseconds: 0), error.code, detail: error.detail,
                ref: error.ref, to: &out)
            precondition(isReadable(out), "an error frame that is not JSON")
        }
    }
    if AuthFrame.token(bytes) != nil { precondition(isJSON, "a token in what is not JSON") }
    return 0
}

private func isReadable(_ out: borrowing ByteBuffer) -> Bool {
    var json = JSONScanner(out.bytes)
    do throws(JSONError) {
        try json.skipValue()
        try json.finish()
        return true
    } catch {
        return false
    }
}

private func checkRoundTrip(_ frame: ClientFrame, _ generation: ProtocolGeneration) {
    var out = ByteBuffer()
    switch frame.command {
    case .message(let message):
        out.append("{\"type\":\"message\",\"body\":")
        message.body.withUnsafeBytes { out.appendJSONString($0) }
        append(message.room, key: message.key, after: message.after, copies: message.copies, to: &out)
    // In the first generation this frame names no room.
    case .write(let write) where write.kind == .register && (write.room == nil || generation == .second):
        out.append("{\"type\":\"crdt_lww_set\",\"doc\":")
        out.appendJSONString(write.doc)
        out.append(",\"body\":")
        if let value = write.write.value { out.appendJSONString(value) } else { out.append("null") }
        append(write.room, key: write.key, after: write.after, copies: write.copies, to: &out)
    case .history(let room, let limit, let before):
        out.append("{\"type\":\"history\"")
        if let limit {
            out.append(",\"limit\":")
            out.appendDecimal(limit)
        }
        if let before {
            out.append(",\"before\":")
            out.appendJSONString(before.text)
        }
        append(room, key: nil, after: nil, copies: nil, to: &out)
    case .subscribe(let command) where command.cursor == nil:
        out.append("{\"type\":\"subscribe\"")
        if let isMember = command.member { out.append(isMember ? ",\"member\":true" : ",\"member\":false") }
        append(command.room, key: nil, after: nil, copies: nil, to: &out)
    default: return
    }
    if let ref = frame.ref {
        out.append(",\"ref\":")
        out.appendJSONString(ref)
    }
    out.append("}")
    let again = try? ClientFrame.decode(out.bytes, as: generation)
    precondition(again == frame, "written and read again, \(frame) is \(String(describing: again))")
}

private func append(_ room: Text?, key: Text?, after: Position?, copies: Int?, to out: inout ByteBuffer) {
    if let room {
        out.append(",\"room\":")
        out.appendJSONString(room)
    }
    if let key {
        out.append(",\"key\":")
        out.appendJSONString(key)
    }
    if let after {
        out.append(",\"after\":")
        out.appendJSONString(after.text)
    }
    if let copies {
        out.append(",\"copies\":")
        out.appendDecimal(copies)
    }
}

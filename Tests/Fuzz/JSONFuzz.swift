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

    do throws(ClientFrameError) {
        let frame = try ClientFrame.decode(bytes)
        precondition(isJSON, "a frame that is not JSON")
        if isText { checkRoundTrip(frame) }
    } catch {
        var encoder = ServerFrameEncoder()
        var out = ByteBuffer()
        encoder.error(
            FrameStamp(id: MessageID(high: 0, low: 0), milliseconds: 0), reason: error.reason, ref: error.ref, to: &out)
        precondition(isReadable(out), "an error frame that is not JSON")
    }
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

private func checkRoundTrip(_ frame: ClientFrame) {
    var out = ByteBuffer()
    switch frame.command {
    case .message(let message):
        out.append("{\"type\":\"message\",\"body\":")
        message.body.withUnsafeBytes { out.appendJSONString($0) }
        append(message.room, key: message.key, after: message.after, copies: message.copies, to: &out)
    case .write(let write) where write.kind == .register:
        out.append("{\"type\":\"crdt_lww_set\",\"doc\":")
        out.appendJSONString(write.doc)
        out.append(",\"body\":")
        if let value = write.write.value { out.appendJSONString(value) } else { out.append("null") }
        append(nil, key: write.key, after: write.after, copies: write.copies, to: &out)
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
    default: return
    }
    if let ref = frame.ref {
        out.append(",\"ref\":")
        out.appendJSONString(ref)
    }
    out.append("}")
    let again = try? ClientFrame.decode(out.bytes)
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

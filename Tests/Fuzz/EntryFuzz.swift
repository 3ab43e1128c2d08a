import ConvergeCRDT
import ConvergeWire

// Entries: bytes are read as a value or refused, and what is read has no other bytes; `pos` and RFC 3339 texts beside.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzEntry(_ start: UnsafeRawPointer, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    if let payload = try? MessagePayload(decoding: bytes) {
        precondition(payload.encoded.elementsEqual(bytes), "a message in another form")
    }
    if let payload = try? SystemPayload(decoding: bytes) {
        precondition(payload.encoded.elementsEqual(bytes), "a system event in another form")
    }
    if let payload = try? DocumentPayload(decoding: bytes) {
        precondition(payload.encoded.elementsEqual(bytes), "a document's change in another form")
    }
    if let payload = try? RedactionPayload(decoding: bytes) {
        precondition(payload.encoded.elementsEqual(bytes), "a redaction in another form")
    }
    var whole = ByteReader(bytes)
    if let entry = try? Entry(decoding: &whole) {
        var out = ByteBuffer()
        entry.append(to: &out)
        precondition(out.bytes.elementsEqual(bytes[..<whole.offset]), "an entry in another form")
        precondition(out.count == entry.encodedLength, "an entry of another length than it said")
        _ = entry.redactedMessageID
    }
    var reader = ByteReader(bytes)
    if let entry = try? Entry(header: &reader) {
        var out = ByteBuffer()
        entry.appendHeader(to: &out)
        precondition(out.bytes.elementsEqual(bytes[..<reader.offset]), "a header in another form")
    }
    if let position = Position(text: bytes) {
        precondition(position.text.withUTF8 { $0.elementsEqual(bytes) }, "a position in another form")
    }
    _ = ReadTimestamp(rfc3339: bytes)

    var encoder = ServerFrameEncoder()
    var out = ByteBuffer()
    for kind: EntryKind in [.message, .system, .document, .redaction] {
        let entry = Entry(
            dot: Dot(replica: ReplicaID(rawValue: 1), seq: 1), timestamp: .zero, kind: kind, room: "r",
            payload: Array(bytes))
        let before = out.count
        do throws(EntryCodecError) {
            try encoder.appendFrame(of: entry, to: &out)
            var json = JSONScanner(out.bytes(before..<out.count))
            let isReadable = (try? json.skipValue()) != nil && (try? json.finish()) != nil
            precondition(isReadable, "a frame that is not JSON")
        } catch {
            precondition(out.count == before, "half a frame is left behind")
        }
    }
    return 0
}

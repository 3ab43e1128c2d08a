import ConvergeCRDT
import ConvergeWire

// Frames between nodes: bytes are read as a frame or refused, what is read has no other bytes, and a link's bytes give the
// same frames wherever they are cut.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPeer(_ start: UnsafeRawPointer, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    if let frame = try? PeerFrame(decoding: bytes) { checkForm(frame, bytes) }

    // The first byte says how the rest is cut.
    guard count > 1 else { return 0 }
    let stream = UnsafeRawBufferPointer(rebasing: bytes[1...])
    let step = Int(bytes[0])
    let whole = read(stream, step: stream.count)
    precondition(read(stream, step: max(1, step)) == whole, "other frames when the bytes are cut")
    return 0
}

private func checkForm(_ frame: PeerFrame, _ content: UnsafeRawBufferPointer) {
    let encoded = frame.encoded()
    encoded.withUnsafeBytes { encoded in
        var reader = ByteReader(encoded)
        guard let again = try? reader.counted(), reader.remaining == 0 else { preconditionFailure("a wrong length") }
        switch frame {
        case .hello, .digest:
            precondition(
                again.count <= content.count && again.elementsEqual(content[..<again.count]), "in another form")
        default: precondition(again.elementsEqual(content), "in another form")
        }
        precondition((try? PeerFrame(decoding: again)) == frame, "another frame is read back")
    }
}

private struct Outcome: Equatable {
    var items: [PeerFrameReader.Item] = []
    var error: PeerFrameError?
}

private func read(_ bytes: UnsafeRawBufferPointer, step: Int) -> Outcome {
    var reader = PeerFrameReader(maximumLength: PeerLimits.hello)
    var outcome = Outcome()
    var at = 0
    while at < bytes.count, outcome.error == nil {
        let end = min(bytes.count, at + step)
        reader.append(UnsafeRawBufferPointer(rebasing: bytes[at..<end]))
        at = end
        do throws(PeerFrameError) {
            while let item = try reader.next() { outcome.items.append(item) }
        } catch { outcome.error = error }
        precondition(reader.heldCount <= PeerLimits.hello + 10, "more held than one frame")
    }
    return outcome
}

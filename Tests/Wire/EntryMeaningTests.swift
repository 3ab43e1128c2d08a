import ConvergeCRDT
import ConvergeTestSupport
import Testing

@testable import ConvergeWire

@Suite("EntryMeaning") struct EntryMeaningTests {
    private func entry(_ kind: EntryKind, _ payload: [UInt8]) -> Entry {
        Entry(
            dot: Dot(replica: ReplicaID(rawValue: 7), seq: 3), timestamp: HybridTimestamp(milliseconds: 5), kind: kind,
            room: "r", payload: payload)
    }

    private func message(_ id: MessageID?, _ body: [UInt8]) -> [UInt8] {
        MessagePayload(id: id, user: "ann", displayName: "Änn", body: body).encoded
    }

    @Test("a message means its id, where it was sent with a key")
    func id() {
        let id = MessageID(high: 1, low: 2)
        #expect(entry(.message, message(id, Array("hello".utf8))).meaning == .message(id: id))
        #expect(entry(.message, message(nil, [])).meaning == .message(id: nil))
        #expect(EntryMeaning.message(id: id).keyID == id && EntryMeaning.message(id: nil).keyID == nil)
    }

    @Test("one that is torn, not UTF-8 or of a newer build means nothing")
    func none() {
        let whole = message(nil, Array("hello".utf8))
        #expect(entry(.message, Array(whole.dropLast())).meaning == .none(.truncated))
        #expect(entry(.message, whole + [0]).meaning == .none(.trailingBytes))
        #expect(entry(.message, message(nil, [0xFF])).meaning == .none(.invalidText))
        #expect(entry(.message, [9] + whole.dropFirst()).meaning == .none(.unknownVersion(9)))
        var other = entry(.message, whole)
        other.namespace = 1
        #expect(other.meaning == .none(.unknownKind(.message)))
    }

    @Test("whatever the bytes are, a message has a meaning just where it can be decoded, and a frame just there")
    func random() {
        var random = SplitMix64(seed: 5)
        var met = (whole: 0, torn: 0)
        var wrong: [[UInt8]] = []
        for round in 0..<20_000 {
            var bytes = message(round % 2 == 0 ? nil : MessageID(high: 3, low: 4), Array("hellö".utf8))
            for _ in 0..<random.below(3) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            let payload = bytes.withUnsafeBytes { try? MessagePayload(decoding: $0) }
            let entry = entry(.message, bytes)
            var encoder = ServerFrameEncoder()
            var frame = ByteBuffer()
            try? encoder.appendFrame(of: entry, to: &frame)
            let isShown = frame.count > 0
            switch entry.meaning {
            case .message(let id):
                met.whole += 1
                if payload == nil || payload?.id != id || !isShown { wrong.append(bytes) }
            default:
                met.torn += 1
                if payload != nil || isShown { wrong.append(bytes) }
            }
        }
        #expect(wrong == [], "seed 5")
        #expect(met.whole > 5_000 && met.torn > 5_000, "\(met)")
    }
}

import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeClient

@Suite("Commands as frames")
struct ChatCommandTests {
    private func text(_ command: ChatCommand) -> String {
        var buffer = ByteBuffer()
        command.encode(into: &buffer)
        return String(decoding: buffer.bytes, as: UTF8.self)
    }

    @Test func `a subscription names its room, and from where`() {
        let cursor = VersionVector([Dot(replica: ReplicaID(rawValue: 1), seq: 5)])
        #expect(
            text(.subscribe("dev", from: cursor, ref: "s1"))
                == #"{"type":"subscribe","room":"dev","ref":"s1","cursor":{"0000000000000001":5}}"#)
        #expect(text(.subscribe("dev")) == #"{"type":"subscribe","room":"dev"}"#)
        #expect(text(.unsubscribe("dev", ref: "s2")) == #"{"type":"unsubscribe","room":"dev","ref":"s2"}"#)
    }

    @Test func `a further page goes back where the one before said`() {
        #expect(text(.rooms(after: "x", ref: "q")) == #"{"type":"rooms","after":"x","ref":"q"}"#)
        #expect(text(.users(limit: 5, after: "x")) == #"{"type":"users","after":"x","limit":5}"#)
    }

    @Test func `a map is written field by field, with any JSON`() {
        func command(_ value: SharedValue?) -> String {
            text(RoomRequest.mapSet("f", value, doc: "d").command(ref: "q", after: nil))
        }
        #expect(
            command(.text("x\""))
                == #"{"type":"doc","doc":"d","kind":"map","op":"set","field":"f","ref":"q","value":"x\""}"#)
        #expect(command(.json(#"{"a":1}"#)).hasSuffix(#","value":{"a":1}}"#))
        #expect(command(nil) == #"{"type":"doc","doc":"d","kind":"map","op":"remove","field":"f","ref":"q"}"#)
    }

    @Test func `null is no value`() { #expect(!SharedValue.json(" null").isWritable) }

    @Test(
        "what is said to be JSON and is none can't break out of the frame", arguments: ["1,\"x\":2", "{", "\"a\"", ""])
    func smuggling(json: String) {
        #expect(!SharedValue.json(json).isWritable)
        var buffer = ByteBuffer()
        SharedValue.json(json).append(to: &buffer)
        var scanner = JSONScanner(buffer.bytes)
        let read = try? scanner.string().text().string
        #expect(read == json)
    }
}

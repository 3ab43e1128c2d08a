import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("SessionMachine") struct SessionMachineTests {
    private func receive(_ text: String, busy: Bool = false) -> SessionMachine.Action {
        var limits = SessionLimits(body: 10, room: 4, user: 8)
        limits.document = 7
        let machine = SessionMachine(limits: limits)
        return Array(text.utf8).withUnsafeBytes { machine.receive($0, coreIsBusy: busy) }
    }

    @Test(
        "what is within the limits goes on",
        arguments: [
            #"{"type":"message","body":"0123456789"}"#, #"{"body":"x","room":"four"}"#,
            #"{"type":"join","room":"four"}"#,
            #"{"type":"leave"}"#, #"{"type":"rooms"}"#, #"{"type":"users"}"#, #"{"type":"users","room":"four"}"#,
            #"{"type":"history","room":"four"}"#, #"{"type":"crdt_orset_add","doc":"sixsix","body":"x"}"#,
            #"{"type":"crdt_lww_set","doc":"d","body":"0123456789"}"#, #"{"type":"crdt_lww_get","doc":"sixsix"}"#,
        ])
    func taken(_ text: String) {
        guard case .forward = receive(text) else {
            Issue.record("refused: \(text)")
            return
        }
    }

    @Test(
        "what is beyond them is refused in the protocol's words, under its ref",
        arguments: [
            (#"{"type":"message","body":"","ref":"r"}"#, .messageRequired),
            (#"{"type":"message","body":"01234567890","ref":"r"}"#, .messageTooLarge),
            (#"{"type":"message","body":"ééééé!","ref":"r"}"#, .messageTooLarge),
            (#"{"body":"x","room":"fives","ref":"r"}"#, .invalidRoom),
            (#"{"type":"join","room":"fives","ref":"r"}"#, .invalidRoom),
            (#"{"type":"join","ref":"r"}"#, .invalidRoom),
            (#"{"type":"users","room":"fives","ref":"r"}"#, .invalidRoom),
            (#"{"type":"history","room":"fives","ref":"r"}"#, .invalidRoom),
            (#"{"type":"crdt_orset_add","doc":"eight888","body":"x","ref":"r"}"#, .invalidDocument),
            (#"{"type":"crdt_orset_remove","body":"01234567890","ref":"r"}"#, .messageTooLarge),
            (#"{"type":"crdt_lww_set","body":"01234567890","ref":"r"}"#, .messageTooLarge),
            (#"{"type":"crdt_orset_values","doc":"eight888","ref":"r"}"#, .invalidDocument),
            (#"{"type":"crdt_lww_get","doc":"eight888","ref":"r"}"#, .invalidDocument),
            (#"{"type":"crdt_counter_add","doc":"eight888","amount":1,"ref":"r"}"#, .invalidDocument),
            (#"{"type":"crdt_counter_get","doc":"eight888","ref":"r"}"#, .invalidDocument),
        ] as [(String, ErrorCode)])
    func refused(text: String, code: ErrorCode) {
        #expect(receive(text) == .refuse(code, ref: "r"))
    }

    @Test("a type that nobody knows is told back")
    func unknown() {
        #expect(receive(#"{"type":"dance","ref":"r"}"#) == .refuse(.unknownType, detail: "dance", ref: "r"))
    }

    @Test("what is no frame is refused and the session goes on", arguments: ["", "[]", "{", #"{"body":7}"#, "null"])
    func malformed(_ text: String) {
        #expect(receive(text) == .refuse(.invalidMessage, ref: nil))
    }

    @Test("while the core is behind, commands are refused with busy")
    func busy() {
        #expect(receive(#"{"body":"x","ref":"r"}"#, busy: true) == .refuse(.busy, ref: "r"))
    }
}

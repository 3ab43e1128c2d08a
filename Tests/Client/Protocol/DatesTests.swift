import ConvergeClient
import Foundation
import Testing

@Suite struct DatesTests {
    @Test func `what a server says of a moment is a date`() {
        let line = ChatLine(room: "r", userID: "u", displayName: "U", body: "b", timestamp: "2026-11-30T12:00:00.250Z")
        #expect(line.date == Date(timeIntervalSince1970: 1_796_040_000.25))
        #expect(Receipt(id: "1", timestamp: "2026-11-30T13:00:00+01:00").date?.timeIntervalSince1970 == 1_796_040_000)
    }

    @Test func `where a server says nothing, or what is no moment, there is none`() {
        #expect(Receipt(id: "1").date == nil)
        #expect(
            DocumentEvent(type: "crdt_lww_value", room: "r", document: "d", timestamp: "yesterday").date == nil)
    }
}

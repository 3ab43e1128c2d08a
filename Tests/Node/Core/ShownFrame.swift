import ConvergeCRDT
import ConvergeWire
import Foundation

/// One frame as a client sees it: read by the WebSocket machine in the client's role, then by another JSON reader than
/// the one under test.
struct ShownFrame: @unchecked Sendable, CustomStringConvertible {
    // Safe to share: what a JSON reader makes of bytes is never changed.
    private let fields: [String: Any]

    /// Nil where the bytes are anything but one whole text frame with a JSON object in it.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var machine = WebSocketMachine(role: .client, limits: .init(maxMessageBytes: 1 << 24))
        var input = [UInt8](bytes)
        let object = input.withUnsafeMutableBytes { bytes -> Any? in
            var offset = 0
            guard case .message(.text, let text) = machine.next(bytes, &offset), offset == bytes.count else {
                return nil
            }
            return try? JSONSerialization.jsonObject(with: Data(text))
        }
        guard let fields = object as? [String: Any] else { return nil }
        self.fields = fields
    }

    private init(_ fields: [String: Any]) { self.fields = fields }

    var history: [ShownFrame] { (fields["history"] as? [[String: Any]] ?? []).map { ShownFrame($0) } }

    private func text(_ name: String) -> String? { fields[name] as? String }

    var id: String { text("id") ?? "" }
    var type: String { text("type") ?? "" }
    var room: String { text("room") ?? "" }
    var user: String { text("user_id") ?? "" }
    var displayName: String { text("display_name") ?? "" }
    var body: String { text("body") ?? "" }
    var ref: String? { text("ref") }
    var position: Position? { text("pos").flatMap { Position(Text($0)) } }
    var seq: Int? { (fields["seq"] as? NSNumber)?.intValue }
    var items: [String]? { fields["items"] as? [String] }
    var users: [String]? { fields["users"] as? [String] }
    var rooms: [String]? { fields["rooms"] as? [String] }
    var node: ReplicaID? { text("node").flatMap { ReplicaID($0) } }
    var dot: Dot? { node.flatMap { node in seq.map { Dot(replica: node, seq: UInt64($0)) } } }
    var cursor: VersionVector? {
        (fields["cursor"] as? [String: NSNumber]).map { members in
            VersionVector(members.map { Dot(replica: ReplicaID($0.key)!, seq: $0.value.uint64Value) })
        }
    }
    /// Of an ack: false where it could not stand behind what it was asked to; otherwise nil.
    var isAfter: Bool? { (fields["after"] as? NSNumber)?.boolValue }
    var isDuplicate: Bool { (fields["duplicate"] as? NSNumber)?.boolValue ?? false }
    var copies: Int? { (fields["copies"] as? NSNumber)?.intValue }
    var value: Int? { (fields["value"] as? NSNumber)?.intValue }
    /// Of a `doc_value`.
    var list: [String]? { fields["value"] as? [String] }
    var pairs: [String: String]? { fields["value"] as? [String: String] }
    var next: String? { text("next") }
    var total: Int? { (fields["total"] as? NSNumber)?.intValue }
    var amount: Int? { (fields["amount"] as? NSNumber)?.intValue }
    /// Of a `docs` frame: each document's name and kind.
    var documents: [String]? {
        (fields["docs"] as? [[String: String]])?.map { "\($0["name"] ?? "?") \($0["kind"] ?? "?")" }
    }
    /// Of a page of a resume, and of its end.
    var recovered: Bool? { (fields["recovered"] as? NSNumber)?.boolValue }
    /// Of a page of a resume: the documents that changed, by name.
    var changed: [String]? { fields["docs"] as? [String] }
    var count: Int? { (fields["count"] as? NSNumber)?.intValue }

    /// What most tests look at: the type, with the body or the ref that tells two of a type apart.
    var description: String {
        switch type {
        case "ack": "ack \(ref ?? "-")" + (isDuplicate ? " duplicate" : "")
        case "error": "error \(body)" + (ref.map { " \($0)" } ?? "")
        case "welcome", "joined": "\(type) \(room)"
        case "crdt_orset_values": "values \((items ?? []).joined(separator: ","))"
        case "crdt_counter_value": "counter \(value ?? .min)"
        case "crdt_counter_changed": "counted \(amount ?? .min) to \(value ?? .min)"
        case "docs": "docs \((documents ?? []).joined(separator: ","))"
        default: "\(type) \(body)"
        }
    }
}

// A server frame as a test reads it, by Foundation's JSON: another reader than the one under test.

import Foundation

struct Frame: CustomStringConvertible {
    let text: String
    private let members: [String: Any]

    init(_ text: String) throws {
        guard let members = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else {
            throw TestFailure("not a JSON object: \(text)")
        }
        self.text = text
        self.members = members
    }

    private init(_ members: [String: Any]) {
        self.members = members
        text = "\(members)"
    }

    var description: String { text }

    var names: Set<String> { Set(members.keys) }

    /// A text member; nil where it is absent or something else.
    subscript(_ name: String) -> String? { members[name] as? String }

    func number(_ name: String) -> Int? { members[name] as? Int }
    func bool(_ name: String) -> Bool? { members[name] as? Bool }
    func list(_ name: String) -> [String]? { members[name] as? [String] }

    /// A list of objects, such as `history` or `members`.
    func frames(_ name: String) -> [Frame]? { (members[name] as? [[String: Any]])?.map { Frame($0) } }

    var type: String { self["type"] ?? "" }
    var id: String { self["id"] ?? "" }
    var body: String { self["body"] ?? "" }
    var user: String { self["user_id"] ?? "" }
    var room: String { self["room"] ?? "" }
    var pos: String { self["pos"] ?? "" }
    var ref: String? { self["ref"] }
}

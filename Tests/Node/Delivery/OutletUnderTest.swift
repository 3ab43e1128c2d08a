import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// An outlet whose connections take as many frames as the test lets them, and whose readers answer when the test does.
struct OutletUnderTest: Outlet {
    struct Asked {
        let question: Feed.Question
        let room: Text
        let connection: UInt32
    }

    /// How many frames may wait for each; nil for any number.
    var limits: [UInt32: Int] = [:]
    /// Connections for which bytes wait.
    var busy: Set<UInt32> = []
    var cursors: [UInt32: ClientCursor] = [:]
    private(set) var shown: [UInt32: [String]] = [:]
    private(set) var runs: [UInt32: Int] = [:]
    private(set) var asked: [Asked] = []
    private(set) var ended: [UInt32: DeliveryEnd] = [:]
    private(set) var marked: Set<UInt32> = []

    static func session(_ connection: UInt32, _ generation: ProtocolGeneration = .first) -> SessionID {
        SessionID(loop: 0, slot: connection, generation: 1, speaking: generation)
    }

    mutating func takeShown(_ connection: UInt32) -> [String] { exchange(&shown[connection], for: nil) ?? [] }
    mutating func takeMarked() -> Set<UInt32> { exchange(&marked, for: []) }
    mutating func takeAsked() -> [Asked] { exchange(&asked, for: []) }

    func connection(of session: SessionID) -> UInt32? { session.loop == 0 ? session.slot : nil }
    mutating func letIn(_ connection: UInt32) -> Bool { ended[connection] == nil }
    mutating func takeCursor(of connection: UInt32) -> ClientCursor? { exchange(&cursors[connection], for: nil) }

    func takes(_ bytes: Int, _ connection: UInt32) -> Bool {
        limits[connection].map { (shown[connection]?.count ?? 0) < $0 } ?? true
    }
    func takesPage(_ connection: UInt32) -> Bool { !busy.contains(connection) }

    mutating func take(
        _ run: borrowing TurnFrames, from offset: Int, _ moment: RunMoment, _ connection: UInt32
    ) -> Int {
        runs[connection, default: 0] += 1
        var start = offset
        for index in run.frames.indices where run.frames[index].end > offset {
            let end = run.frames[index].end
            guard takes(end - start, connection) else { return start }
            shown[connection, default: []].append(Self.text(run.bytes.bytes(start..<end)))
            start = end
        }
        return start
    }

    mutating func append(_ frame: UnsafeRawBufferPointer, _ kind: FrameKind, to connection: UInt32) {
        shown[connection, default: []].append(Self.text(frame))
        marked.insert(connection)
    }

    mutating func tell(_ notice: DeliveryNotice, of room: Text, to connection: UInt32) {
        let words =
            switch notice {
            case .resumed(let recovered, let cursor, _, _): "resumed \(recovered) \(Self.words(cursor))"
            case .standing(let cursor, .joined): "joined \(Self.words(cursor))"
            case .standing(let cursor, .subscribed(let count, _)): "subscribed \(count) \(Self.words(cursor))"
            case .historyIsGone(let stay): "history is gone \(stay)"
            }
        shown[connection, default: []].append("\(room): \(words)")
    }

    mutating func tell(cursors: [(room: Text, cursor: VersionVector)], to connection: UInt32) {
        for (room, cursor) in cursors {
            shown[connection, default: []].append("\(room): at \(Self.words(cursor))")
        }
    }

    mutating func mark(_ connection: UInt32) { marked.insert(connection) }

    mutating func ask(_ question: Feed.Question, of room: Text, for connection: UInt32) {
        asked.append(Asked(question: question, room: room, connection: connection))
    }

    mutating func end(_ connection: UInt32, _ reason: DeliveryEnd) { ended[connection] = reason }

    static func words(_ vector: VersionVector) -> String {
        vector.components.map { "\($0.replica.rawValue):\($0.seq)" }.sorted().joined(separator: " ")
    }

    /// A frame's text: it has a short header, as a server's frame.
    private static func text(_ frame: UnsafeRawBufferPointer) -> String {
        String(decoding: frame.dropFirst(2), as: UTF8.self)
    }
}

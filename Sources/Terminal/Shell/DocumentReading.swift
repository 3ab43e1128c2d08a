import ConvergeClient

/// What a document holds.
enum DocumentReading: Hashable, Sendable {
    case set([String])
    /// Nil: it is clear.
    case register(String?)
    case counter(Int)
    case map([MapField])

    /// For a person: `tags (2): alpha, beta`.
    func words(_ name: String) -> String {
        switch self {
        case .set(let elements): "\(name) (\(elements.count)): \(elements.joined(separator: ", "))"
        case .register(let text?): "\(name) is \"\(text)\""
        case .register(nil): "\(name) is clear"
        case .counter(let value): "\(name) stands at \(value)"
        case .map(let fields):
            "\(name) (\(fields.count)): \(fields.map { MapWords.field($0.name, $0.value) }.joined(separator: ", "))"
        }
    }

    /// As a node answers.
    func event(_ name: String, room: String) -> DocumentEvent {
        switch self {
        case .set(let elements):
            return DocumentEvent(type: "crdt_orset_values", room: room, document: name, items: elements)
        case .register(let text): return DocumentEvent(type: "crdt_lww_value", room: room, document: name, body: text)
        case .counter(let value):
            return DocumentEvent(type: "crdt_counter_value", room: room, document: name, value: value)
        case .map(let fields):
            var event = DocumentEvent(type: "doc_value", room: room, document: name)
            event.fields = fields
            return event
        }
    }
}

/// How a map's fields are shown to a person: `colour: "red"`, `size: 3`.
enum MapWords {
    static func field(_ name: String, _ value: SharedValue) -> String {
        switch value {
        case .text(let text): "\(name): \"\(text)\""
        case .json(let json): "\(name): \(json)"
        }
    }

    /// - Parameter value: nil: the field is gone.
    static func change(_ name: String, _ value: SharedValue?) -> String {
        value.map { field(name, $0) } ?? "\(name) is gone"
    }
}

extension DocumentSort {
    /// For a person.
    var words: String {
        switch self {
        case .set: "set"
        case .register: "register"
        case .counter: "counter"
        case .map: "map"
        }
    }
}

extension DocumentName {
    /// `tags (set)`.
    var words: String { sort.map { "\(name) (\($0.words))" } ?? name }
}

/// Carries out what is wanted of a room's documents, for the screen and for lines.
extension ChatRoom {
    /// How long a document may take to be read.
    private static let patience = Duration.seconds(10)

    /// Changes a document, and waits until that is stored. What has changed comes back as an event, to everybody in the room.
    func change(_ request: DocumentRequest) async throws(SendFailure) {
        let document = request.name
        switch request.action {
        case .show: break
        case .add(let element): _ = try await set(document).add(element).stored()
        case .remove(let element): _ = try await set(document).remove(element).stored()
        case .set(let text): _ = try await register(document).set(text).stored()
        case .clear: _ = try await register(document).set(nil).stored()
        case .count(let amount): _ = try await counter(document).increment(by: amount).stored()
        case .put(let field, let text): _ = try await map(document).set(field, to: text).stored()
        case .drop(let field): _ = try await map(document).remove(field).stored()
        }
    }

    /// What the documents of one name hold: nil where there is none, nothing where none could be read in time.
    func read(document: String) async throws(RequestFailure) -> [DocumentReading]? {
        let kinds = try await documents().filter { $0.name == document }.compactMap(\.sort)
        guard !kinds.isEmpty else { return nil }
        var readings: [DocumentReading] = []
        for kind in kinds {
            switch kind {
            case .set: if let elements = await Self.first(set(document).values) { readings.append(.set(elements)) }
            case .register:
                guard let content = await Self.first(register(document).values) else { continue }
                if case .text(let text) = content {
                    readings.append(.register(text))
                } else {
                    readings.append(.register(nil))
                }
            case .counter:
                if let value = await Self.first(counter(document).values) { readings.append(.counter(value)) }
            case .map: if let fields = await Self.first(map(document).values) { readings.append(.map(fields)) }
            }
        }
        return readings
    }

    /// The first that comes within `patience`.
    private static func first<Value: Sendable>(_ values: EventStream<Value>) async -> Value? {
        await withTaskGroup(of: Value?.self) { group in
            group.addTask { await values.first { _ in true } }
            group.addTask {
                try? await Task.sleep(for: patience)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}

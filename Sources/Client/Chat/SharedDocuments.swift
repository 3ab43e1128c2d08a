/// A set that all of a room share: an observed-remove set, where adding wins over removing at the same time.
///
/// It follows the room as long as this value, or a sequence of its values, is kept.
public struct SharedSet: Sendable {
    let desk: DocumentDesk

    public var name: String { desk.key.name }

    /// The elements, sorted by their bytes; nil until the first answer has come. While there is no connection, what was
    /// there last.
    public var elements: [String]? { Self.elements(of: desk.content) }

    /// The elements now, where they are known, and after each change. Changes that come faster than they are taken are
    /// taken together. Ends with the room.
    public var values: EventStream<[String]> { desk.values { Self.elements(of: $0) } }

    /// Adds an element; O(1) on the wire. It can be repeated without harm where nobody knows whether it was stored.
    @discardableResult
    public func add(_ element: String) throws(SendFailure) -> Sending {
        try desk.write(.setAdd(element, doc: name))
    }

    /// Takes an element out, as far as the node has seen it.
    @discardableResult
    public func remove(_ element: String) throws(SendFailure) -> Sending {
        try desk.write(.setRemove(element, doc: name))
    }

    private static func elements(of content: DocumentContent?) -> [String]? {
        if case .set(let elements) = content { elements } else { nil }
    }
}

/// A value that all of a room share: the last write counts.
///
/// It follows the room as long as this value, or a sequence of its values, is kept.
public struct SharedRegister: Sendable {
    /// What a register holds.
    public enum Content: Hashable, Sendable {
        /// No answer has come yet.
        case unknown
        /// Cleared, or never written.
        case clear
        case text(String)
    }

    let desk: DocumentDesk

    public var name: String { desk.key.name }

    /// While there is no connection, what was there last.
    public var content: Content { Self.content(of: desk.content) }

    /// The text; nil where the register is clear, or not known yet.
    public var text: String? {
        if case .text(let text) = content { text } else { nil }
    }

    /// What it holds now, where that is known, and after each change; of changes that come faster than they are taken the
    /// last. Ends with the room.
    public var values: EventStream<Content> { desk.values { Self.content(of: $0) } }

    /// Writes a text; nil clears.
    @discardableResult
    public func set(_ text: String?) throws(SendFailure) -> Sending {
        try desk.write(.registerSet(text, doc: name))
    }

    private static func content(of content: DocumentContent?) -> Content {
        guard case .register(let text) = content else { return .unknown }
        return text.map { .text($0) } ?? .clear
    }
}

/// A number that all of a room add to.
///
/// It follows the room as long as this value, or a sequence of its values, is kept.
public struct SharedCounter: Sendable {
    let desk: DocumentDesk

    public var name: String { desk.key.name }

    /// What it stands at; nil until the first answer has come. While there is no connection, what it stood at last.
    public var value: Int? { Self.value(of: desk.content) }

    /// What it stands at now, where that is known, and after each change; of changes that come faster than they are taken
    /// the last. Ends with the room.
    public var values: EventStream<Int> { desk.values { Self.value(of: $0) } }

    /// Adds a whole number, at most 2⁵³ up or down.
    ///
    /// Where `stored()` throws `connectionLost` nobody can say whether it was counted: added again it may count twice.
    @discardableResult
    public func increment(by amount: Int = 1) throws(SendFailure) -> Sending {
        try desk.write(.counterAdd(amount, doc: name))
    }

    @discardableResult
    public func decrement(by amount: Int = 1) throws(SendFailure) -> Sending {
        guard amount != .min else { throw .refused("invalid message") }
        return try increment(by: -amount)
    }

    private static func value(of content: DocumentContent?) -> Int? {
        if case .counter(let value) = content { value } else { nil }
    }
}

/// Fields with a value each, which all of a room share. Of values that were written to one field at once the latest counts;
/// one that was written while somebody else, who had not seen it, took the field away stands.
///
/// It follows the room as long as this value, or a sequence of its values, is kept. Servers of builds that know no maps
/// leave it unknown.
public struct SharedMap: Sendable {
    let desk: DocumentDesk

    public var name: String { desk.key.name }

    /// The fields, sorted by the bytes of their names; nil until the first answer has come. While there is no connection,
    /// what was there last.
    public var fields: [MapField]? { Self.fields(of: desk.content) }

    /// What stands under a field; nil where nothing does, or it is not known yet. O(n).
    public subscript(field: String) -> SharedValue? {
        fields?.first { $0.name.utf8.elementsEqual(field.utf8) }?.value
    }

    /// The fields now, where they are known, and after each change. Changes that come faster than they are taken are
    /// taken together. Ends with the room.
    public var values: EventStream<[MapField]> { desk.values { Self.fields(of: $0) } }

    /// Writes a field. It can be repeated without harm where nobody knows whether it was stored.
    @discardableResult
    public func set(_ field: String, to value: SharedValue) throws(SendFailure) -> Sending {
        guard value.isWritable else { throw .refused("the value is no JSON, or is null or a text written as JSON") }
        return try desk.write(.mapSet(field, value, doc: name))
    }

    /// Writes a text into a field.
    @discardableResult
    public func set(_ field: String, to text: String) throws(SendFailure) -> Sending { try set(field, to: .text(text)) }

    /// Takes a field away, as far as the node has seen it.
    @discardableResult
    public func remove(_ field: String) throws(SendFailure) -> Sending {
        try desk.write(.mapSet(field, nil, doc: name))
    }

    private static func fields(of content: DocumentContent?) -> [MapField]? {
        if case .map(let fields) = content { fields } else { nil }
    }
}

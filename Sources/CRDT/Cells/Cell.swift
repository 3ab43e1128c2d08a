/// What was written into a cell, by which event, and when.
public struct CellWrite<Value: Hashable & Comparable & Sendable>: Hashable, Sendable {
    public var value: Value
    public var dot: Dot
    public var timestamp: HybridTimestamp

    @inlinable
    public init(_ value: Value, dot: Dot, timestamp: HybridTimestamp) {
        self.value = value
        self.dot = dot
        self.timestamp = timestamp
    }

    /// Whether `other` was written before, by (time, replica, seq). Of two writes of one event neither was.
    @inlinable
    public func isLater(than other: CellWrite) -> Bool {
        timestamp == other.timestamp ? other.dot < dot : other.timestamp < timestamp
    }
}

/// The smallest part of a document: what one write left under one key.
///
/// A document is a set of cells. Which of two cells with one key stay is for the document's `MergeRule`.
public struct Cell<Key: Hashable & Comparable & Sendable, Value: Hashable & Comparable & Sendable>: Hashable, Sendable {
    public var key: Key
    public var write: CellWrite<Value>

    @inlinable
    public init(key: Key, write: CellWrite<Value>) {
        self.key = key
        self.write = write
    }

    @inlinable
    public init(key: Key, value: Value, dot: Dot, timestamp: HybridTimestamp) {
        self.init(key: key, write: CellWrite(value, dot: dot, timestamp: timestamp))
    }

    @inlinable public var value: Value { write.value }
    @inlinable public var dot: Dot { write.dot }
    @inlinable public var timestamp: HybridTimestamp { write.timestamp }

    @inlinable public func place(under rule: MergeRule) -> CellPlace<Key> {
        CellPlace(key: key, slot: rule == .observed ? dot : nil)
    }
}

/// Where a cell stands in its document: two cells in one place become one.
public struct CellPlace<Key: Hashable & Comparable & Sendable>: Hashable, Comparable, Sendable {
    public var key: Key
    /// The dot of an observed cell; nil where a key has one cell.
    public var slot: Dot?

    @inlinable
    public init(key: Key, slot: Dot? = nil) {
        self.key = key
        self.slot = slot
    }

    /// By key, then by slot: the same order in every process and store.
    @inlinable
    public static func < (a: CellPlace, b: CellPlace) -> Bool {
        if a.key != b.key { return a.key < b.key }
        guard let slot = b.slot else { return false }
        return a.slot.map { $0 < slot } ?? true
    }
}

/// The cells of one document, by key.
///
/// The keys' dictionary is changed in place and never copied; what is handed out in an order is sorted.
public struct Cells<Key: Hashable & Comparable & Sendable, Value: Hashable & Comparable & Sendable>: Hashable, Sendable
{
    public let rule: MergeRule
    // None is empty.
    @usableFromInline internal var groups: [Key: CellGroup<Value>] = [:]

    @inlinable public init(rule: MergeRule) { self.rule = rule }

    @inlinable public var isEmpty: Bool { groups.isEmpty }

    /// How many keys have a cell.
    @inlinable public var keyCount: Int { groups.count }

    /// Without order: who shows or writes them sorts them.
    @inlinable public var keys: Dictionary<Key, CellGroup<Value>>.Keys { groups.keys }

    /// Without order.
    @inlinable public var all: Dictionary<Key, CellGroup<Value>> { groups }

    /// What stands under `key`. O(1).
    @inlinable public subscript(key: Key) -> CellGroup<Value> { groups[key] ?? CellGroup() }

    /// By key, then by dot. O(n log n).
    public var sorted: [Cell<Key, Value>] {
        groups.sorted { $0.key < $1.key }.flatMap { key, group in group.writes.map { Cell(key: key, write: $0) } }
    }

    /// Puts a cell in, over what it meets in its place. Returns what stood under its key before. O(1) amortised.
    @inlinable
    @discardableResult
    public mutating func put(_ cell: Cell<Key, Value>) -> CellGroup<Value> {
        func change(_ group: inout CellGroup<Value>) -> CellGroup<Value> {
            let before = group
            group.put(cell.write, rule)
            return before
        }
        return change(&groups[cell.key, default: CellGroup()])
    }

    /// Empties a place, which may be empty. O(1) amortised.
    @inlinable
    public mutating func remove(_ place: CellPlace<Key>) { remove(place.slot.map { [$0] }, of: place.key) }

    /// Takes the cells of these dots away from `key`; all where there are none named. Returns what stood there before.
    @inlinable
    @discardableResult
    public mutating func remove(_ dots: [Dot]?, of key: Key) -> CellGroup<Value> {
        guard let at = groups.index(forKey: key) else { return CellGroup() }
        let before = groups.values[at]
        if let dots { groups.values[at].remove(dots) } else { groups.values[at] = CellGroup() }
        if groups.values[at].isEmpty { groups.remove(at: at) }
        return before
    }

    /// Just this stands under `key` from now on. O(1) amortised.
    @inlinable
    public mutating func replace(_ key: Key, by group: CellGroup<Value>) { groups[key] = group.isEmpty ? nil : group }
}

/// What stands under one key: one write, or, of an observed document, all that were written at once.
///
/// Almost always one, so one is kept inline; more are sorted by their dots, so that equal groups are equal values.
public struct CellGroup<Value: Hashable & Comparable & Sendable>: Hashable, Sendable {
    @usableFromInline
    internal enum Writes: Hashable, Sendable {
        case none
        case one(CellWrite<Value>)
        /// Two or more.
        case many([CellWrite<Value>])
    }

    @usableFromInline internal var content = Writes.none

    @inlinable public init() {}

    @inlinable public var isEmpty: Bool { content == .none }

    /// Sorted by dot.
    @inlinable public var writes: [CellWrite<Value>] {
        switch content {
        case .none: []
        case .one(let write): [write]
        case .many(let writes): writes
        }
    }

    @inlinable public var dots: [Dot] { writes.map(\.dot) }

    /// The write that is later than all others.
    @inlinable public var latest: CellWrite<Value>? {
        switch content {
        case .none: nil
        case .one(let write): write
        case .many(let writes): writes.max { $1.isLater(than: $0) }
        }
    }

    @inlinable
    internal mutating func put(_ write: CellWrite<Value>, _ rule: MergeRule) {
        switch content {
        case .none: content = .one(write)
        case .one(let held):
            if rule != .observed || held.dot == write.dot {
                content = .one(rule.merged(held, write))
            } else {
                content = .many(held.dot < write.dot ? [held, write] : [write, held])
            }
        case .many(var writes):
            if let at = writes.firstIndex(where: { $0.dot == write.dot }) {
                writes[at] = rule.merged(writes[at], write)
            } else {
                writes.insert(write, at: writes.firstIndex { write.dot < $0.dot } ?? writes.count)
            }
            content = .many(writes)
        }
    }

    @inlinable
    internal mutating func remove(_ dots: [Dot]) {
        switch content {
        case .none: break
        case .one(let write): if dots.contains(write.dot) { content = .none }
        case .many(let writes):
            let left = writes.filter { !dots.contains($0.dot) }
            content = left.isEmpty ? .none : left.count == 1 ? .one(left[0]) : .many(left)
        }
    }
}

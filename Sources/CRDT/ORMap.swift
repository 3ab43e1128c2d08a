/// A map whose values are replicated states: `ORSet`, `MVRegister`, `ResettableCounter`, `Observed` (of an `LWWRegister`
/// or a counter), or another `ORMap`.
///
/// A key is in the map exactly as long as something stands in its value. Removing a key removes what its replica had seen
/// of the value; of an update that it had not seen, the key comes back with just what the update did. All values share
/// the map's context, so removed keys leave nothing behind.
///
/// A value is changed in place, by its own methods, and its delta becomes the map's:
///
///     let (alice, bob) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
///     var here = ORMap<String, ORSet<String>>(), there = ORMap<String, ORSet<String>>()
///
///     there.merge(here.update("list") { $0.add("milk", dot: Dot(replica: alice, seq: 1)) })
///
///     let removed = here.remove("list")                               // alice drops the list
///     let bread = there.update("list") { $0.add("bread", dot: Dot(replica: bob, seq: 1)) }    // bob, meanwhile, adds
///     here.merge(bread)
///     there.merge(removed)
///     // both: ["list": ["bread"]]
///
/// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7, the observed-remove map.
public struct ORMap<Key: Hashable & Sendable, Value: CausalState>: Sendable {
    /// The stores of all values, without the context that they share.
    public struct Store: Sendable {
        // No value is empty.
        @usableFromInline internal var values: [Key: Value.Store] = [:]

        @inlinable public init() {}

        @inlinable
        internal init(values: [Key: Value.Store]) { self.values = values }
    }

    @usableFromInline internal var held: Store
    @usableFromInline internal var seen: CausalContext

    @inlinable
    public init(store: Store, context: CausalContext) {
        held = store
        seen = context
    }

    @inlinable public var store: Store { held }
    @inlinable public var context: CausalContext { seen }

    @inlinable public var count: Int { held.values.count }

    /// Without order: who shows or writes them sorts them.
    @inlinable public var keys: Dictionary<Key, Value.Store>.Keys { held.values.keys }

    @inlinable public func contains(_ key: Key) -> Bool { held.values[key] != nil }

    /// The value of `key`, nil where it isn't in the map. O(1). It is a copy, and changing it changes nothing here.
    @inlinable
    public subscript(key: Key) -> Value? {
        held.values[key].map { Value(store: $0, context: seen) }
    }

    /// Changes the value of `key`, which is empty where the key isn't in the map; a value left empty takes the key with
    /// it. Costs what the change costs and O(1).
    ///
    /// `change` returns the delta of all that it did; it must not put another value in place of the one that it gets.
    /// The dot of each change must never have been used before in this map, under whatever key.
    @inlinable
    @discardableResult
    public mutating func update(_ key: Key, _ change: (inout Value) -> Value.Delta) -> Delta {
        var own = Value.Store()
        var shared = CausalContext()
        let at = held.values.index(forKey: key)
        // Taken out and not copied, so that the change is made in place.
        if let at { swap(&own, &held.values.values[at]) }
        swap(&shared, &seen)
        var value = Value(store: consume own, context: consume shared)
        let delta = change(&value)
        seen = value.context
        let changed = value.store
        switch (at, changed.isEmpty) {
        case (nil, true): break
        case (nil, false): held.values[key] = changed
        case (let at?, true): held.values.remove(at: at)
        case (let at?, false): held.values.values[at] = changed
        }
        return Delta(key, delta)
    }

    /// Takes `key` out of the map: what stands in its value now, and nothing that others add meanwhile. O(n) for the n
    /// dots of the value. Where the key isn't in the map the delta is empty.
    @inlinable
    @discardableResult
    public mutating func remove(_ key: Key) -> Delta {
        guard let own = held.values.removeValue(forKey: key) else { return Delta() }
        var value = Value(store: own, context: seen)
        return Delta(key, value.clear())
    }
}

extension ORMap: CausalState {
    /// Removes all keys. O(n) for the n dots of the whole map.
    @inlinable
    @discardableResult
    public mutating func clear() -> Delta {
        var delta = Delta()
        for (key, own) in held.values {
            var value = Value(store: own, context: seen)
            delta.merge(key, value.clear())
        }
        held = Store()
        return delta
    }

    /// Takes up what a delta did. Costs what it costs the values that it names, however large the map.
    @inlinable
    public mutating func merge(_ delta: Delta) { ORMap.merge(delta, into: &held, context: &seen) }

    /// Takes up all that another replica's map knows. O(n + m).
    @inlinable
    public mutating func merge(_ other: ORMap) {
        held.join(other.held, context: seen, otherContext: other.seen)
        seen.merge(other.seen)
    }

    @inlinable
    public static func merge(_ delta: Delta, into store: inout Store, context: inout CausalContext) {
        for (key, change) in delta.changes {
            store.change(key) { Value.merge(change, into: &$0, context: &context) }
        }
    }
}

extension ORMap.Store: DotStore {
    @inlinable public var isEmpty: Bool { values.isEmpty }

    @inlinable
    public func forEachDot(_ body: (Dot) -> Void) {
        for value in values.values { value.forEachDot(body) }
    }

    /// Changes the store of `key` in place, and drops the key where nothing is left.
    @inlinable
    internal mutating func change(_ key: Key, _ body: (inout Value.Store) -> Void) {
        if let at = values.index(forKey: key) {
            body(&values.values[at])
            if values.values[at].isEmpty { values.remove(at: at) }
        } else {
            var own = Value.Store()
            body(&own)
            if !own.isEmpty { values[key] = own }
        }
    }

    @inlinable
    public mutating func join(_ other: Self, context: CausalContext, otherContext: CausalContext) {
        // Named first: a dictionary that is changed while it is gone through is copied.
        let alone = values.keys.filter { other.values[$0] == nil }
        for key in alone { change(key) { $0.join(Value.Store(), context: context, otherContext: otherContext) } }
        for (key, value) in other.values {
            change(key) { $0.join(value, context: context, otherContext: otherContext) }
        }
    }
}

extension ORMap.Store: Equatable where Value.Store: Equatable {}
extension ORMap.Store: Hashable where Value.Store: Hashable {}
extension ORMap: Equatable where Value.Store: Equatable {}
extension ORMap: Hashable where Value.Store: Hashable {}

extension ORMap {
    /// What some updates and removes did: of each key that they named, the delta of its value.
    ///
    /// As in `ORSet.Delta`, every dot belongs to a key that is named, so the context of the delta is split among its keys.
    public struct Delta: Sendable {
        // No value is empty.
        @usableFromInline internal var changes: [Key: Value.Delta] = [:]

        @inlinable
        internal init(changes: [Key: Value.Delta]) { self.changes = changes }

        @inlinable
        internal init(_ key: Key, _ change: Value.Delta) {
            if !change.isEmpty { changes = [key: change] }
        }
    }
}

extension ORMap.Delta: CausalDelta {
    @inlinable public init() { changes = [:] }

    @inlinable public var isEmpty: Bool { changes.isEmpty }

    /// One delta in place of two. Costs what merging the values' deltas costs, for the keys that `other` names.
    @inlinable
    public mutating func merge(_ other: ORMap.Delta) {
        for (key, change) in other.changes { merge(key, change) }
    }

    @inlinable
    internal mutating func merge(_ key: Key, _ change: Value.Delta) {
        if !change.isEmpty { changes[key, default: Value.Delta()].merge(change) }
    }
}

extension ORMap.Delta: Equatable where Value.Delta: Equatable {}
extension ORMap.Delta: Hashable where Value.Delta: Hashable {}

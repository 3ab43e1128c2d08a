/// Keys that stand under dots: the state of an observed-remove set, without the causal context it is read in.
///
/// A key is in the map exactly as long as a dot stands for it. The context is kept outside, because many maps can share
/// one: `ORSet` brings its own, and the documents of a node all share the version vector of its logs.
///
/// The keys' dictionary is changed in place and never copied; nothing here depends on its order.
///
/// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7.1, dot stores.
public struct DotMap<Key: Hashable & Sendable>: Hashable, Sendable {
    // No value is empty.
    @usableFromInline internal var entries: [Key: DotSet] = [:]

    @inlinable public init() {}

    @inlinable public var count: Int { entries.count }
    @inlinable public var isEmpty: Bool { entries.isEmpty }

    /// Without order: who shows or writes them sorts them.
    @inlinable public var keys: Dictionary<Key, DotSet>.Keys { entries.keys }

    @inlinable public func contains(_ key: Key) -> Bool { entries[key] != nil }

    /// The dots of `key`, which are none where it isn't in the map. O(1).
    @inlinable public subscript(key: Key) -> DotSet { entries[key] ?? DotSet() }

    /// `key` stands under just these dots from now on; under none it is removed. Returns the dots before. O(1) amortised.
    @inlinable
    @discardableResult
    public mutating func update(_ key: Key, to dots: DotSet) -> DotSet {
        (dots.isEmpty ? entries.removeValue(forKey: key) : entries.updateValue(dots, forKey: key)) ?? DotSet()
    }

    /// `key` stands under `dot` from now on, and under `observed` no longer. Returns the dots before. O(1) amortised.
    @inlinable
    @discardableResult
    public mutating func insert(_ key: Key, dot: Dot, replacing observed: some Collection<Dot>) -> DotSet {
        func change(_ dots: inout DotSet) -> DotSet {
            let before = dots
            dots.subtract(observed)
            dots.insert(dot)
            return before
        }
        return change(&entries[key, default: DotSet()])
    }

    /// `key` stands under `dots` too from now on, which are not none, and under `observed` no longer.
    @inlinable
    internal mutating func insert(_ key: Key, _ dots: DotSet, replacing observed: DotSet) {
        func change(_ own: inout DotSet) {
            own.subtract(observed)
            own.formUnion(dots)
        }
        change(&entries[key, default: DotSet()])
    }

    /// `key` no longer stands under `observed`; under other dots it stays. Returns the dots before. O(1) amortised.
    @inlinable
    @discardableResult
    public mutating func remove(_ key: Key, observed: some Collection<Dot>) -> DotSet {
        guard let at = entries.index(forKey: key) else { return DotSet() }
        let before = entries.values[at]
        entries.values[at].subtract(observed)
        if entries.values[at].isEmpty { entries.remove(at: at) }
        return before
    }

    /// As above, O(n log m).
    @inlinable
    internal mutating func remove(_ key: Key, gone: DotSet) {
        guard let at = entries.index(forKey: key) else { return }
        entries.values[at].subtract(gone)
        if entries.values[at].isEmpty { entries.remove(at: at) }
    }

    /// Joins one key of another version of this map, of which `dots` are all the dots. O(1).
    @inlinable
    public mutating func join(_ dots: DotSet, for key: Key, context: CausalContext, otherContext: CausalContext) {
        func change(_ own: inout DotSet) -> Bool {
            own.join(dots, context: context, otherContext: otherContext)
            return own.isEmpty
        }
        if let at = entries.index(forKey: key) {
            if change(&entries.values[at]) { entries.remove(at: at) }
        } else {
            var own = DotSet()
            if !change(&own) { entries[key] = own }
        }
    }

    /// Joins another version of this map, each with what its side has seen: a dot that one side has and the other
    /// lacks was removed there, if it was seen there, and otherwise is news. O(n + m).
    @inlinable
    public mutating func join(_ other: DotMap, context: CausalContext, otherContext: CausalContext) {
        var gone: [Key] = []
        for (key, dots) in entries where other.entries[key] == nil && dots.contains(where: otherContext.contains) {
            gone.append(key)
        }
        for key in gone { join(DotSet(), for: key, context: context, otherContext: otherContext) }
        for (key, dots) in other.entries { join(dots, for: key, context: context, otherContext: otherContext) }
    }
}

extension DotMap: DotStore {
    @inlinable
    public func forEachDot(_ body: (Dot) -> Void) {
        for dots in entries.values { for dot in dots { body(dot) } }
    }
}

/// What decides between two writes of a register: the later one, and of two at the same moment that of the greater
/// replica. No two writes have one stamp, since a replica's clock never gives a moment twice.
public struct LWWStamp: Hashable, Comparable, Sendable {
    public var timestamp: HybridTimestamp
    public var replica: ReplicaID

    public init(timestamp: HybridTimestamp, replica: ReplicaID) {
        self.timestamp = timestamp
        self.replica = replica
    }

    public static func < (a: LWWStamp, b: LWWStamp) -> Bool {
        a.timestamp == b.timestamp ? a.replica < b.replica : a.timestamp < b.timestamp
    }
}

/// One value, of which the last write stands.
///
/// "Last" is by `LWWStamp`. The timestamps are those of a hybrid clock, so a write that has seen another beats it,
/// whatever the wall clocks said. Clearing is a write of nil like any other, and leaves its stamp: removing the register
/// instead would let an older value, arriving later, stand up again on some replicas and not on others.
///
/// A state is as large as its value, so it is its own delta.
///
///     var here = LWWRegister<String>(), there = LWWRegister<String>()
///     let draft = here.set("draft", stamp: LWWStamp(timestamp: clock.tick(wall: now), replica: alice))
///     there.merge(draft)
///
/// Johnson, Thomas: "The Maintenance of Duplicate Databases" (RFC 677, 1975); Shapiro et al.: "A comprehensive study of
/// Convergent and Commutative Replicated Data Types" (2011), section 3.2.1.
public struct LWWRegister<Value: Sendable>: Sendable {
    /// What stands: nil where it was cleared, or never written.
    public private(set) var value: Value?

    /// The stamp of the write that stands; nil where there was none.
    public private(set) var stamp: LWWStamp?

    /// A register that was never written.
    public init() {}

    /// The register after this one write.
    public init(_ value: Value?, stamp: LWWStamp) {
        self.value = value
        self.stamp = stamp
    }

    /// True where a write with `stamp` would stand.
    public func yields(to stamp: LWWStamp) -> Bool {
        guard let own = self.stamp else { return true }
        return own < stamp
    }

    /// Writes `value`; nil clears. Where a later write stands already, that stays, which is no error. O(1).
    ///
    /// Returns the delta: this write, whether it stands here or not.
    @discardableResult
    public mutating func set(_ value: Value?, stamp: LWWStamp) -> LWWRegister {
        let write = LWWRegister(value, stamp: stamp)
        merge(write)
        return write
    }
}

extension LWWRegister: DeltaState {
    /// The write with the greater stamp stands. O(1).
    public mutating func merge(_ other: LWWRegister) {
        if let stamp = other.stamp, yields(to: stamp) { self = other }
    }
}

extension LWWRegister: Equatable where Value: Equatable {}
extension LWWRegister: Hashable where Value: Hashable {}

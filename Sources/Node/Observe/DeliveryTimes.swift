/// From when the oldest event of a batch came, so that loops can tell how long it took until it was shown.
///
/// Measured a batch, not a message: an event counts from the turn in which it was read, and its batch from the oldest of
/// them. What comes while a batch is on its way to the store belongs to the next one, unless that turn's end finds that
/// there is none. All times are monotonic nanoseconds.
struct DeliveryTimes {
    /// The oldest event since the last batch went to the store.
    private var gathering: UInt64?
    /// The oldest of the batch that is on its way.
    private var underway: UInt64?
    /// The oldest of the batch that this turn hands out; nil where it hands out none.
    private(set) var handedOut: UInt64?

    enum Outcome { case stored, failed }

    /// - Parameters:
    ///   - oldest: since when the oldest event of this turn has waited; nil where there is none.
    ///   - outcome: what became of the batch that was on its way, where this turn is told.
    mutating func begin(oldest: UInt64?, outcome: Outcome?) {
        handedOut = outcome == .stored ? underway : nil
        if outcome != nil { underway = nil }
        guard let oldest else { return }
        gathering = min(gathering ?? oldest, oldest)
    }

    /// The open batch goes to the store.
    mutating func committed() {
        underway = gathering
        gathering = nil
    }

    mutating func end() {
        if underway == nil { gathering = nil }
        handedOut = nil
    }
}

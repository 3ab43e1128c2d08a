import ConvergeCRDT
import ConvergeGossip

/// Whether this node dates what it writes rightly; where it would not, it writes nothing, of whatever kind.
///
/// Every writer asks `canTakeWrite` or `clockIsTolerable` first: commands, joined and left, redactions. Retention goes by the wall
/// clock, and rests as well. What was not written meanwhile is made up for when the clock is mended: history is made to
/// agree with who is there, as after a time without a store.
extension NodeCore {
    var clockIsTolerable: Bool { clockStanding.mayWrite }

    /// Milliseconds that wall time may move against the monotonic clock unnoticed, until the next tick.
    private static var jump: Int64 { 1_000 }

    /// Milliseconds between two lines in the log while something is wrong.
    private static var reminder: UInt64 { 3_600_000 }

    /// Looks whether the wall clock was set since the last event. O(1).
    mutating func lookForJump(at now: UInt64, into effects: inout [CoreEffect]) {
        let offset = Int64(clamping: now) &- Int64(clamping: monotonic)
        guard (offset &- clockOffset).magnitude > Self.jump.magnitude else { return }
        clockOffset = offset
        if log != nil { lookAtClock(at: now, into: &effects) }
    }

    /// Judges the clocks, and makes up for what was not written while they were wrong.
    mutating func lookAtClock(at now: UInt64, into effects: inout [CoreEffect]) {
        clockOffset = Int64(clamping: now) &- Int64(clamping: monotonic)
        let before = clockStanding
        let median = skews.median(wall: now, at: monotonic)
        clockStanding = ClockStanding.judge(
            clock.last, wall: now, median: median, lead: options.replicator.lead,
            hasPeers: options.cluster != nil || shared.isShared)
        counters.clock = clockStanding
        counters.clockLead = clock.last.milliseconds - min(clock.last.milliseconds, now)
        tell(before, into: &effects)
        if !before.mayWrite, clockIsTolerable {
            judgeAll()
            correctDueAttendance(at: now)
        }
    }

    private mutating func tell(_ before: ClockStanding, into effects: inout [CoreEffect]) {
        let isNews = !clockStanding.isKind(of: before)
        guard isNews || monotonic >= nextClockReminder else { return }
        nextClockReminder = monotonic + Self.reminder
        switch clockStanding {
        case .right: if isNews { effects.append(.report(.clockMended)) }
        case .ahead(let lead, let refuses): effects.append(.report(.clockAhead(lead, refuses: refuses)))
        case .skewed(let median): effects.append(.report(.clockSkewed(median)))
        }
    }
}

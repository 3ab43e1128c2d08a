import ConvergeCRDT

/// What the core and the readers tell a loop.
enum LoopMessage: Sendable {
    /// With when the oldest event came that is shown in it, in monotonic nanoseconds; nil where that is not measured.
    case frames(FrameBatch, received: UInt64? = nil)
    /// A page of what a session had not been shown: frames, and how far it is with them.
    case feed(SessionID, ask: UInt64, frames: FrameBatch, Feed.Page)
    case feedFailed(SessionID, ask: UInt64)
    /// The store has been opened for the first time, or could not be: sessions are let in from here on.
    case beginSessions
    /// Accept nobody any more and read nothing more.
    case stopReading
    /// Close every connection as going away, and end when that is done.
    case finish
}

import ConvergeCRDT

/// What the core and the readers tell a loop.
enum LoopMessage: Sendable {
    case frames(FrameBatch)
    /// What a slow client had not been sent: frames, how far it is with them, and whether that is all there was.
    case feed(SessionID, ask: UInt64, frames: FrameBatch, reached: VersionVector, level: Bool)
    case feedFailed(SessionID, ask: UInt64)
    /// Accept nobody any more and read nothing more.
    case stopReading
    /// Close every connection as going away, and end when that is done.
    case finish
}

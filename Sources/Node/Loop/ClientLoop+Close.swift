import ConvergeTransport
import ConvergeWire
import Glibc

/// Ending connections: the closing handshake of RFC 6455, section 7, and a TCP end that loses nothing on its way.
///
/// Closing a socket that still has unread bytes resets the connection, and the reset overtakes what was just sent. So we
/// end our own direction first and read until the other side has ended its, for a bounded time.
extension ClientLoop {
    /// How long we wait for the other side's close frame, or its end.
    private static var closeWait: UInt64 { 2_000_000_000 }

    /// Begins the closing handshake. The session is over at once; the connection ends when the other side has answered.
    mutating func close(_ slot: UInt32, _ code: CloseCode, _ reason: Text) {
        let connection = connections[slot]
        guard !connection.pointee.closeSent, connection.pointee.isOpen else { return }
        reply(slot) { WebSocketFrame.appendClose(code, reason: reason, to: &$0) }
        beginClosing(slot, .ended(code, reason))
    }

    private mutating func beginClosing(_ slot: UInt32, _ end: SessionEnd) {
        let connection = connections[slot]
        connection.pointee.closeSent = true
        connection.pointee.phase = .closing
        endSession(slot, end)
        connection.pointee.deadline = now + Self.closeWait
        schedule(slot)
    }

    /// The other side has sent its close frame: it is answered, and nothing is expected after it.
    mutating func closed(_ slot: UInt32, _ code: CloseCode?) {
        let connection = connections[slot]
        if !connection.pointee.closeSent {
            reply(slot) { WebSocketFrame.appendClose(code ?? .absent, to: &$0) }
            beginClosing(slot, .closed(by: code))
        }
        connection.pointee.endAfterFlush = true
        markDirty(slot)
    }

    /// The other side broke the protocol: it is told how, and not listened to any more.
    mutating func fail(_ slot: UInt32, _ violation: WebSocketViolation) {
        metrics.protocolErrors.add(1)
        close(slot, violation.closeCode, Text("\(violation.reason)"))
        connections[slot].pointee.endAfterFlush = true
        markDirty(slot)
    }

    /// What comes of a connection that is being closed is thrown away, as the other side may not know yet. Past this much it
    /// does not read what it is told: it is read no more, and its time to end runs out.
    private static var discardedBytes: Int { 1 << 20 }

    mutating func boundDiscarded(_ slot: UInt32, _ count: Int) {
        let connection = connections[slot]
        guard connection.pointee.phase == .closing || connection.pointee.phase == .lingering else { return }
        connection.pointee.discarded += count
        guard connection.pointee.discarded > Self.discardedBytes, !connection.pointee.readPaused else { return }
        connection.pointee.readPaused = true
        updateInterest(slot)
    }

    /// All that waited has been sent.
    mutating func flushed(_ slot: UInt32) {
        let connection = connections[slot]
        guard connection.pointee.endAfterFlush, connection.pointee.phase != .lingering else { return }
        connection.pointee.phase = .lingering
        connection.pointee.deadline = now + Self.closeWait
        shutdown(connection.pointee.descriptor, Int32(SHUT_WR))
        schedule(slot)
    }

    /// The connection is gone without a handshake.
    mutating func lose(_ slot: UInt32) { kill(slot, .lost) }
}

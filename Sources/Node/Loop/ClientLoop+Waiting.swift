import ConvergeTransport
import ConvergeWire

/// Sessions that were asked for before the node could keep anything: nobody is let in before the store has been opened
/// for the first time, or that has failed. So nobody's first message is refused because a start takes a moment longer.
///
/// The socket listens before that, and HTTP is answered. Who has asked for a session, and may have it, waits for the
/// answer, which is bounded by `CONVERGE_READ_TIMEOUT` as the request was; nothing more is read from the connection.
extension ClientLoop {
    /// Keeps a session that has been granted until sessions begin.
    mutating func wait(_ slot: UInt32, _ asked: AskedSession) {
        let connection = connections[slot]
        connection.pointee.asked = asked
        connection.pointee.phase = .waiting
        connection.pointee.deadline = now + options.readTimeout
        schedule(slot)
        updateInterest(slot)
    }

    /// Lets in all who wait, and whoever comes from here on.
    mutating func beginSessions() {
        guard !sessionsHaveBegun else { return }
        sessionsHaveBegun = true
        // Who stops has told the core that nobody comes any more.
        guard reading else { return }
        for slot in 0..<UInt32(connections.count) where connections[slot].pointee.phase == .waiting {
            beginWaiting(slot)
        }
    }

    private mutating func beginWaiting(_ slot: UInt32) {
        let connection = connections[slot]
        guard let asked = exchange(&connection.pointee.asked, for: nil) else { return }
        if let session = asked.session {
            begin(slot, asked.handshake, session)
        } else {
            askWho(slot, asked.handshake)
        }
        updateInterest(slot)
        var rest = asked.rest
        if !rest.isEmpty { rest.withUnsafeMutableBytes { take($0, slot) } }
        // What came sealed has been opened only as far as it was looked at.
        if let tls = connection.pointee.tls { takeOpened(slot, tls) }
    }

    /// The store has neither been opened nor failed in all this time: the client tries again, or elsewhere.
    mutating func refuseWaiting(_ slot: UInt32) {
        let connection = connections[slot]
        connection.pointee.asked = nil
        connection.pointee.phase = .http
        var response = HTTPRefusal.unavailable.response
        response.headers.append(HTTPHeader("Retry-After", "1"))
        reply(slot) { response.encode(into: &$0, keepAlive: false) }
        connection.pointee.endAfterFlush = true
        connection.pointee.deadline = now + options.writeTimeout
        schedule(slot)
    }
}

import ConvergeTransport
import ConvergeWire

/// Clients over TLS: between the socket and what `ClientLoop+Read` and `ClientLoop+Send` do stands a `ConnectionTLS`.
/// The handshake has the time of a request's head, `CONVERGE_READ_TIMEOUT`, together with it.
extension ClientLoop {
    /// At most one line about failed handshakes in so long.
    private static var handshakeLogPause: UInt64 { 1_000_000_000 }

    // MARK: The way in

    mutating func takeSealed(_ bytes: UnsafeMutableRawBufferPointer, _ slot: UInt32, _ tls: ConnectionTLS) {
        let connection = connections[slot]
        guard connection.pointee.phase != .lingering else { return }
        if tls.isFresh, let first = bytes.first, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first) {
            refusePlaintext(slot)
            return
        }
        do throws(TLSError) {
            try tls.receive(UnsafeRawBufferPointer(bytes))
        } catch {
            giveUp(slot, tls, error)
            return
        }
        takeOpened(slot, tls)
    }

    /// Takes what has come, piece by piece, as long as somebody listens.
    mutating func takeOpened(_ slot: UInt32, _ tls: ConnectionTLS) {
        let connection = connections[slot]
        do throws(TLSError) {
            while connection.pointee.isOpen, connection.pointee.phase != .lingering,
                connection.pointee.phase != .waiting
            {
                let count = try tls.read(into: plaintext)
                guard count > 0 else { break }
                take(UnsafeMutableRawBufferPointer(rebasing: plaintext[..<count]), slot)
            }
            if tls.hasOutput, connection.pointee.isOpen { markDirty(slot) }
        } catch {
            giveUp(slot, tls, error)
        }
    }

    /// What came is no TLS, or no good one. An alert says so to whoever listens.
    private mutating func giveUp(_ slot: UInt32, _ tls: ConnectionTLS, _ error: TLSError) {
        let connection = connections[slot]
        guard connection.pointee.isOpen else { return }
        guard error != .closed else {
            lose(slot)
            return
        }
        if tls.isEstablished {
            metrics.protocolErrors.add(1)
            _ = tls.drain(connection.pointee.descriptor)
            lose(slot)
        } else {
            countFailedHandshake(error.description)
            connection.pointee.http = nil
            connection.pointee.endAfterFlush = true
            markDirty(slot)
        }
    }

    /// Somebody speaks HTTP to a port that speaks TLS. The answer is HTTP too: the connection goes on without.
    private mutating func refusePlaintext(_ slot: UInt32) {
        countFailedHandshake("plain HTTP")
        connections[slot].pointee.tls = nil
        refuseRequest(slot, HTTPResponse(.badRequest, text: "this port speaks TLS: use https:// or wss://\n"))
    }

    mutating func countFailedHandshake(_ reason: String) {
        metrics.tlsHandshakesFailed.add(1)
        guard now >= handshakeLogAt else { return }
        handshakeLogAt = now + Self.handshakeLogPause
        log.debug("TLS handshake failed", [("error", reason)])
    }

    // MARK: The way out

    /// `flush`, for a connection with TLS.
    mutating func flushSealed(_ slot: UInt32, _ tls: ConnectionTLS) {
        let connection = connections[slot]
        let rest = connection.pointee.output.bytes
        // Nothing is written before the handshake is done, but what it says itself.
        let result =
            tls.isEstablished
            ? tls.send(connection.pointee.descriptor, rest) : tls.drain(connection.pointee.descriptor)
        count(slot, tls)
        switch result {
        case .moved(let taken) where taken == rest.count || !tls.isEstablished: break
        case .moved(let taken):
            connection.pointee.output.leave(taken)
            waitToWrite(slot)
            return
        case .wouldBlock:
            waitToWrite(slot)
            return
        case .closed:
            lose(slot)
            return
        }
        connection.pointee.output.removeAll()
        if connection.pointee.endAfterFlush { tls.end() }
        if tls.hasOutput {
            let end = tls.drain(connection.pointee.descriptor)
            count(slot, tls)
            if end == .closed { lose(slot) }
            if end == .wouldBlock { waitToWrite(slot) }
            if end != .moved(0) { return }
        }
        emptied(slot)
    }

    /// `send`, for a connection with TLS.
    mutating func sendSealed(
        _ frames: borrowing TurnFrames, from offset: Int, _ slot: UInt32, _ tls: ConnectionTLS
    ) -> Int {
        let run = frames.bytes.bytes(offset..<frames.bytes.count)
        let result = tls.send(connections[slot].pointee.descriptor, run)
        count(slot, tls)
        switch result {
        case .moved(let taken) where taken == run.count:
            counts.framesOut += frames.count(from: offset)
            if tls.hasOutput { waitToWrite(slot) }
            return frames.bytes.count
        case .moved(let taken): return keepRest(frames, from: offset, sent: taken, slot)
        case .wouldBlock: return keepRest(frames, from: offset, sent: 0, slot)
        case .closed: return lost(frames, slot)
        }
    }

    private mutating func count(_ slot: UInt32, _ tls: ConnectionTLS) {
        let left = tls.takeLeft()
        guard left > 0 else { return }
        counts.bytesOut += left
        connections[slot].pointee.progressed = now
        if connections[slot].pointee.readPaused { connections[slot].pointee.heard = now }
    }
}

import ConvergeWire

/// Deadlines: a request's header, an idle connection, pings, silence, a client that takes nothing.
extension ClientLoop {
    /// Sets the connection's one timer to the earliest thing it waits for.
    mutating func schedule(_ slot: UInt32) { timers.schedule(slot, at: due(slot)) }

    private func due(_ slot: UInt32) -> UInt64 {
        let connection = connections[slot]
        var due = connection.pointee.deadline
        if connection.pointee.wantsWrite {
            due = min(due, connection.pointee.progressed &+ patience(connection.pointee.phase))
        }
        due = min(due, connection.pointee.retryAt)
        switch connection.pointee.phase {
        case .entering, .chat, .echo:
            due = min(due, connection.pointee.nextPing, connection.pointee.heard &+ options.pongWait)
            due = min(due, connection.pointee.nextCursors)
        case .free, .http, .waiting, .unidentified, .closing, .lingering, .dead: break
        }
        return due
    }

    /// How long a client that is closed as too slow has for reading that.
    private static var lastChance: UInt64 { 5_000_000_000 }

    private func patience(_ phase: Connection.Phase) -> UInt64 {
        switch phase {
        case .http, .waiting: options.writeTimeout
        case .closing: max(options.writeWait, Self.lastChance)
        default: options.writeWait
        }
    }

    mutating func runTimers() {
        if acceptAgainAt <= now { resumeAccepting() }
        timers.advance(to: now, into: &fired)
        guard !fired.isEmpty else { return }
        for slot in fired where connections[slot].pointee.isOpen {
            expire(slot)
            if connections[slot].pointee.isOpen { schedule(slot) }
        }
        fired.removeAll(keepingCapacity: true)
    }

    /// Gives up what waits for a client, and the client. Should it read again after all, it finds out why.
    mutating func closeAsSlow(_ slot: UInt32, _ reason: Text) {
        let connection = connections[slot]
        metrics.slowClosed.add(1)
        connection.pointee.output.drop()
        close(slot, .tryAgainLater, reason)
        connection.pointee.progressed = now
        connection.pointee.deadline = now + max(options.writeWait, Self.lastChance)
        schedule(slot)
    }

    /// Gives up a client that speaks HTTP and takes no answers: there is no word for that which would not be cut.
    mutating func giveUpAsSlow(_ slot: UInt32) {
        metrics.slowClosed.add(1)
        log.write(.info, "slow client closed", ("connection", id(of: slot).description), ("reason", "HTTP answers"))
        kill(slot, .outOfTime)
    }

    private mutating func expire(_ slot: UInt32) {
        let connection = connections[slot]
        if connection.pointee.wantsWrite,
            connection.pointee.progressed &+ patience(connection.pointee.phase) <= now
        {
            if connection.pointee.phase == .chat || connection.pointee.phase == .echo {
                closeAsSlow(slot, "too slow")
            } else {
                kill(slot, .outOfTime)
            }
            return
        }
        if connection.pointee.retryAt <= now {
            connection.pointee.retryAt = .max
            let delivery = delivery
            delivery.pointee.askForPage(slot, &self)
        }
        if connection.pointee.deadline <= now {
            if connection.pointee.phase == .waiting {
                refuseWaiting(slot)
            } else if connection.pointee.phase == .unidentified {
                metrics.authFailures.add(1)
                close(slot, .policyViolation, Admission.unauthorized)
            } else if connection.pointee.http?.isIdle == false, !connection.pointee.endAfterFlush {
                refuseRequest(slot, HTTPResponse(.requestTimeout, text: "the header section took too long\n"))
            } else {
                if connection.pointee.phase == .http, connection.pointee.tls?.isEstablished == false {
                    countFailedHandshake("it took too long")
                }
                kill(slot, .outOfTime)
            }
            return
        }
        if connection.pointee.nextCursors <= now {
            connection.pointee.nextCursors = now + options.cursorPeriod
            let delivery = delivery
            if connection.pointee.phase == .chat { delivery.pointee.tellCursors(slot, &self) }
        }
        switch connection.pointee.phase {
        case .entering, .chat, .echo:
            if connection.pointee.heard &+ options.pongWait <= now {
                metrics.silentClosed.add(1)
                kill(slot, .silent)
            } else if connection.pointee.nextPing <= now {
                connection.pointee.nextPing = now + options.pingPeriod
                reply(slot) { WebSocketFrame.append(.ping, UnsafeRawBufferPointer(start: nil, count: 0), to: &$0) }
            }
        case .free, .http, .waiting, .unidentified, .closing, .lingering, .dead: break
        }
    }
}

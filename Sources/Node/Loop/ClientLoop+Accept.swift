import ConvergeTransport
import ConvergeWire
import Glibc

/// Taking connections, and stopping for a while when there are no descriptors left for them.
extension ClientLoop {
    /// How many connections one turn takes, so that those that are open get their turn, too.
    private static var acceptBurst: Int { 128 }
    /// How long accepting rests when descriptors have run out.
    private static var acceptRest: UInt64 { 100_000_000 }

    /// After a wait that was full: thousands of connections have something to say at once (as when they are all cut off),
    /// and the kernel tells of new ones behind all others. So those are accepted, and read from, out of turn.
    mutating func welcomeNewcomers() {
        var still: [UInt64] = []
        for newcomer in newcomers {
            let slot = UInt32(truncatingIfNeeded: newcomer)
            guard tag(of: slot) == newcomer, connections[slot].pointee.phase == .http else { continue }
            read(slot)
            still.append(newcomer)
        }
        newcomers = still
        acceptWaiting(outOfTurn: true)
    }

    /// How many connections may be read from out of turn.
    private static var newcomersLimit: Int { 64 }

    mutating func acceptWaiting(outOfTurn: Bool = false) {
        guard accepting else { return }
        for _ in 0..<Self.acceptBurst {
            switch StreamSocket.accept(from: listener) {
            case .accepted(let descriptor):
                guard let slot = add(descriptor) else { continue }
                if outOfTurn {
                    read(slot)
                    if newcomers.count < Self.newcomersLimit { newcomers.append(tag(of: slot)) }
                }
            case .none: return
            case .exhausted(let error):
                pauseAccepting()
                acceptAgainAt = now + Self.acceptRest
                if metrics.acceptPauses.current == 0 {
                    log.write(.warn, "accepting paused: no descriptors left", ("error", "\(error)"))
                }
                metrics.acceptPauses.add(1)
                return
            }
        }
    }

    mutating func resumeAccepting() {
        guard !accepting, reading else { return }
        acceptAgainAt = .max
        do throws(SystemError) {
            try poller.add(listener, .accept, tag: Self.listenerTag)
            accepting = true
        } catch {
            log.write(.error, "the listener can't be watched", ("error", "\(error)"))
            acceptAgainAt = now + Self.acceptRest
        }
    }

    mutating func pauseAccepting() {
        guard accepting else { return }
        accepting = false
        do throws(SystemError) {
            try poller.remove(listener)
        } catch {
            log.write(.error, "the listener can't be paused", ("error", "\(error)"))
        }
    }

    private mutating func add(_ descriptor: Int32) -> UInt32? {
        let slot: UInt32
        if let reused = freeSlots.popLast() {
            slot = reused
        } else {
            slot = UInt32(connections.count)
            connections.grow(to: connections.count + 1)
        }
        let connection = connections[slot]
        if let certificate = options.certificate {
            do throws(TLSError) {
                connection.pointee.tls = try ConnectionTLS(certificate.current)
            } catch {
                log.write(.error, "a connection can't be encrypted", ("error", "\(error)"))
                Glibc.close(descriptor)
                freeSlots.append(slot)
                return nil
            }
        }
        do throws(SystemError) {
            try poller.add(descriptor, .read, tag: tag(of: slot))
        } catch {
            log.write(.error, "a connection can't be watched", ("error", "\(error)"))
            Glibc.close(descriptor)
            connection.pointee.tls = nil
            freeSlots.append(slot)
            return nil
        }
        open += 1
        metrics.connectionsAccepted.add(1)
        connection.pointee.descriptor = descriptor
        connection.pointee.phase = .http
        connection.pointee.http = RequestParser()
        connection.pointee.heard = now
        connection.pointee.deadline = now + options.readTimeout
        schedule(slot)
        return slot
    }

    func tag(of slot: UInt32) -> UInt64 { UInt64(connections[slot].pointee.generation) << 32 | UInt64(slot) }

    func updateInterest(_ slot: UInt32) {
        let connection = connections[slot]
        var interest: Poller.Interest = []
        if reading, !connection.pointee.readPaused, connection.pointee.phase != .waiting { interest.insert(.read) }
        if connection.pointee.wantsWrite { interest.insert(.write) }
        do throws(SystemError) {
            try poller.modify(connection.pointee.descriptor, interest, tag: tag(of: slot))
        } catch {
            // Only a descriptor that is not there can fail here, and this one is ours until it is buried.
            preconditionFailure("epoll lost a connection: \(error)")
        }
    }
}

import ConvergeTransport
import ConvergeWire
import Glibc

/// Taking connections, and stopping for a while when there are no descriptors left for them.
extension ClientLoop {
    /// How many connections one turn takes, so that those that are open get their turn, too.
    private static var acceptBurst: Int { 128 }
    /// How long accepting rests when descriptors have run out.
    private static var acceptRest: UInt64 { 100_000_000 }

    /// - Parameter reading: looks at once whether the new connections have sent something, rather than waiting to be told.
    mutating func acceptWaiting(reading: Bool = false) {
        guard accepting else { return }
        for _ in 0..<Self.acceptBurst {
            switch StreamSocket.accept(from: listener) {
            case .accepted(let descriptor):
                guard let slot = add(descriptor) else { continue }
                if reading { read(slot) }
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
        do throws(SystemError) {
            try poller.add(descriptor, .read, tag: tag(of: slot))
        } catch {
            log.write(.error, "a connection can't be watched", ("error", "\(error)"))
            Glibc.close(descriptor)
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
        if reading, !connection.pointee.readPaused { interest.insert(.read) }
        if connection.pointee.wantsWrite { interest.insert(.write) }
        do throws(SystemError) {
            try poller.modify(connection.pointee.descriptor, interest, tag: tag(of: slot))
        } catch {
            // Only a descriptor that is not there can fail here, and this one is ours until it is buried.
            preconditionFailure("epoll lost a connection: \(error)")
        }
    }
}

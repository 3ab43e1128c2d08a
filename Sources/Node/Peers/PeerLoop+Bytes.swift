import ConvergeGossip
import ConvergeTransport
import Glibc

/// The bytes of a link: in and out of its socket, and through its cipher.
extension PeerLoop {
    mutating func handle(_ event: Poller.Event, _ link: PeerLink) {
        if link.phase == .connecting {
            guard event.writable || event.hangup else { return }
            if let failure = StreamSocket.connectFailure(link.descriptor.raw) {
                notConnected(link, "\(failure)")
            } else {
                connected(link)
            }
            return
        }
        if event.readable || event.hangup { receive(link) }
        if event.writable, links[link.id.rawValue] != nil { flush(link) }
    }

    mutating func receive(_ link: PeerLink) {
        switch StreamSocket.receive(link.descriptor.raw, into: buffer) {
        case .moved(let count):
            counters.bytesIn.add(count)
            take(UnsafeRawBufferPointer(rebasing: buffer[..<count]), link)
        case .wouldBlock: break
        case .closed: lose(link)
        }
    }

    mutating func take(_ bytes: UnsafeRawBufferPointer, _ link: PeerLink) {
        guard let cipher = link.cipher else {
            if link.phase == .open { events.append(.link(link.id, .received(Array(bytes)))) }
            return
        }
        do throws(TLSError) {
            let isEstablished = try cipher.receive(bytes)
            if link.phase == .handshaking, isEstablished { opened(link) }
            dirty.append(link)  // it may have something to answer
            guard isEstablished else { return }
            // All has been taken out of the buffer: what was in it comes back decrypted.
            while true {
                let count = try cipher.decrypt(into: buffer)
                guard count > 0 else { return }
                if link.phase == .open { events.append(.link(link.id, .received(Array(buffer[..<count])))) }
            }
        } catch {
            refuse(link, error)
        }
    }

    mutating func flush(_ link: PeerLink) {
        guard links[link.id.rawValue] != nil, link.phase != .connecting else { return }
        do throws(TLSError) {
            guard try link.flush(counters) else {
                lose(link)
                return
            }
        } catch {
            refuse(link, error)
            return
        }
        if link.phase == .draining, link.isIdle { bury(link) } else { updateInterest(link) }
    }

    mutating func updateInterest(_ link: PeerLink) {
        var interest: Poller.Interest = []
        if isReading || link.phase != .open { interest.insert(.read) }
        if link.phase == .connecting || !link.isIdle { interest.insert(.write) }
        guard interest != link.interest else { return }
        do throws(SystemError) {
            try poller.modify(link.descriptor.raw, interest, tag: link.id.rawValue)
            link.interest = interest
        } catch {
            // Only a descriptor that is not there can fail here, and this one is the link's own.
            preconditionFailure("epoll lost a link: \(error)")
        }
    }
}

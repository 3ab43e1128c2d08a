import ConvergeGossip
import ConvergeTransport
import ConvergeWire

/// From an address to a connection: the name is looked up by another thread, then its addresses are tried in turn.
extension PeerLoop {
    mutating func dial(_ address: Text) {
        guard finishBy == nil else { return }
        guard let target = ListenAddress(address.string), target.port > 0 else {
            fail(address, "it is no host:port")
            return
        }
        if let literal = SocketAddress.literal(host: target.host, port: target.port) {
            connect(address, [literal])
        } else {
            resolver.resolve(address, host: target.host, port: target.port)
        }
    }

    mutating func connect(_ address: Text, _ candidates: ArraySlice<SocketAddress>) {
        guard finishBy == nil else { return }
        // Members are dialled, and they dial from where they are.
        for candidate in candidates { gate.know(candidate.site) }
        var rest = candidates.prefix(4)
        while let candidate = rest.popFirst() {
            guard options.tls != nil || candidate.isLoopback else {
                fail(address, "without a secret only this machine may be dialled")
                return
            }
            do throws(SystemError) {
                let descriptor = try StreamSocket.connect(to: candidate)
                let link = PeerLink(
                    id: takeID(), descriptor: descriptor, dialled: address, alternatives: rest, phase: .connecting,
                    deadline: now + options.handshakeTimeout)
                try poller.add(link.descriptor.raw, .write, tag: link.id.rawValue)
                link.interest = .write
                links[link.id.rawValue] = link
                hurried += 1
                return
            } catch {
                if rest.isEmpty { fail(address, "\(error)") }
            }
        }
        if candidates.isEmpty { fail(address, "the name has no address") }
    }

    mutating func fail(_ address: Text, _ reason: String) {
        counters.dialsFailed.add(1)
        complaints.debug("a peer can't be reached", address: address.string, reason)
        events.append(.dialFailed(address))
    }

    mutating func takeID() -> LinkID {
        defer { nextLink += 1 }
        return LinkID(rawValue: nextLink)
    }
}

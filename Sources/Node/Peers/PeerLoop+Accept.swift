import ConvergeGossip
import ConvergeTransport
import Glibc

/// From a connection to a link: strangers are few and have little time, until they have proved that they know the secret.
extension PeerLoop {
    mutating func accept(isOn: Bool) {
        guard isOn != isAccepting else { return }
        do throws(SystemError) {
            if isOn { try poller.add(listener, .read, tag: Self.listenerTag) } else { try poller.remove(listener) }
            isAccepting = isOn
        } catch {
            complaints.write("peers can't be accepted", address: "", "\(error)", at: now)
            acceptAgainAt = now + 100_000_000
        }
    }

    mutating func acceptWaiting() {
        for _ in 0..<16 {
            switch StreamSocket.accept(from: listener) {
            case .accepted(let raw): take(FileDescriptor(owning: raw))
            case .none: return
            case .exhausted(let error):
                complaints.write("accepting peers rests", address: "", "\(error)", at: now)
                accept(isOn: false)
                acceptAgainAt = now + 100_000_000
                return
            }
        }
    }

    mutating func take(_ descriptor: consuming FileDescriptor) {
        let link = PeerLink(
            id: takeID(), descriptor: descriptor, dialled: nil, alternatives: [], phase: .handshaking,
            deadline: now + options.handshakeTimeout)
        do throws(SystemError) {
            try poller.add(link.descriptor.raw, .read, tag: link.id.rawValue)
        } catch {
            complaints.write("a peer can't be accepted", address: "", "\(error)", at: now)
            return
        }
        link.interest = .read
        links[link.id.rawValue] = link
        hurried += 1
        if let refused = gate.arrive(link.id, from: site(of: link), random: SecureRandom.word()) {
            refuseStranger(refused)
        }
        connected(link)
    }

    /// There are too many, and this one gives way.
    private mutating func refuseStranger(_ id: LinkID) {
        guard let stranger = links[id.rawValue] else { return }
        counters.strangersRefused.add(1)
        complaints.write(
            "too many connections to the peers' port have not proved themselves: one is closed",
            address: remote(stranger), at: now)
        bury(stranger)
    }

    private func site(of link: PeerLink) -> UInt64 { SocketAddress(remoteOf: link.descriptor.raw)?.site ?? 0 }

    /// TCP is there: now the secret, or at once the core.
    mutating func connected(_ link: PeerLink) {
        StreamSocket.watch(link.descriptor.raw, timeout: options.silence, unsent: 128 << 10)
        guard let tls = options.tls else {
            opened(link)
            return
        }
        link.phase = .handshaking
        link.deadline = now + options.handshakeTimeout
        do throws(TLSError) {
            let attempt = link.dialled.flatMap { attempts[$0] } ?? 0
            let cipher = try LinkCipher(tls, isServer: link.dialled == nil, attempt: attempt)
            link.cipher = cipher
            try cipher.begin()
            dirty.append(link)
        } catch {
            refuse(link, error)
        }
    }

    mutating func opened(_ link: PeerLink) {
        hurried -= 1
        if link.dialled == nil {
            gate.leave(link.id)
            gate.know(site(of: link))
        }
        link.phase = .open
        counters.links.add(1)
        updateInterest(link)
        events.append(.link(link.id, .opened(dialled: link.dialled)))
    }
}

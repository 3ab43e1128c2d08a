import ConvergeTransport
import ConvergeWire

// How the client's thread comes to connections, and reads them. What they are for is decided by the links.

extension ChatLoop {
    // MARK: Tokens

    func take(_ token: String?, failed: Bool, at now: UInt64) {
        let waiting = failed ? tokens.failed() : tokens.came(token)
        let number = tokens.number
        for id in waiting {
            step(id, at: now) { link, _, effects in
                if failed {
                    // Not its own words: somebody may have put the token into them.
                    link.tokenFailed("the token could not be had", at: now, into: &effects)
                } else {
                    link.take(token: number, at: now, into: &effects)
                }
            }
        }
    }

    func wantToken(_ id: Int, refused: Int?, at now: UInt64) {
        let seconds = Double(SystemClock.wallMilliseconds()) / 1_000
        let (isThere, mustAsk) = tokens.want(for: id, refused: refused, at: seconds)
        if isThere {
            let number = tokens.number
            step(id, at: now) { link, _, effects in link.take(token: number, at: now, into: &effects) }
        } else if mustAsk {
            switch tokenSource {
            case .fixed(let token): hub.post(.token(token, failed: false))
            case .asked(let ask):
                // Every room waits for it.
                Task(priority: .high) { [hub] in
                    do {
                        hub.post(.token(try await ask(), failed: false))
                    } catch {
                        hub.post(.token(nil, failed: true))
                    }
                }
            }
        }
    }

    // MARK: Connecting

    func connect(_ id: Int, _ number: Int, _ server: Int, _ room: String, _ cursor: String?, at now: UInt64) {
        let key = Base64.encode(SecureRandom.bytes(16))
        var sha1 = Digester.sha1()
        let accept = Base64.encode(
            (key + Array(UpgradeRequest.acceptSuffix.description.utf8)).withUnsafeBytes { sha1.hash($0) })
        guard
            let handshake = ClientHandshake(
                url: urls[server], room: room, cursor: cursor, token: tokens.token, key: key, accept: accept)
        else {
            return step(id, at: now) { link, _, effects in
                link.connectFailed(number, "the token has characters that no token has", at: now, into: &effects)
            }
        }
        let link = LoopLink(id: id)
        link.handshake = handshake
        connections[id] = link
        connects.append((id, number, server))
    }

    /// Starts as many of the waiting connections as may be made at once.
    func startConnecting() {
        while connecting < Self.connectors, !connects.isEmpty {
            let (id, number, server) = connects.removeFirst()
            guard links.number(of: id) == number else { continue }
            connecting += 1
            let (url, options) = (urls[server], hub.options)
            do throws(SystemError) {
                let thread = try WorkerThread(name: "chat-connect") { [hub] in
                    do throws(ServerLink.Failure) {
                        let link = try ServerLink.connect(
                            to: url, authorityFile: options.authorityFile, timeout: options.connectTimeout)
                        hub.post(.connected(link: id, number: number, LinkBox(link)))
                    } catch {
                        hub.post(.connectFailed(link: id, number: number, reason: error.message))
                    }
                }
                thread.detach()
            } catch {
                hub.post(.connectFailed(link: id, number: number, reason: error.description))
            }
        }
    }

    func connected(_ id: Int, _ number: Int, _ box: LinkBox, at now: UInt64) {
        connecting -= 1
        var isWanted = false
        step(id, at: now) { link, _, _ in isWanted = link.connected(number, at: now) }
        guard isWanted, let connection = connections[id], let handshake = connection.handshake else { return }
        connection.handshake = nil
        guard let link = box.take() else { return }
        connection.connection = ChatConnection(ConnectionMachine(handshake: handshake), over: link)
    }

    // MARK: Reading

    func receive(_ connection: LoopLink, _ buffer: UnsafeMutableRawBufferPointer, at now: UInt64) {
        guard let number = links.number(of: connection.id),
            let happened = connection.connection?.receive(buffer) ?? nil
        else { return }
        take(happened, from: connection.id, number, at: now)
    }

    private func take(_ happened: [ConnectionMachine.Event], from id: Int, _ number: Int, at now: UInt64) {
        step(id, at: now) { link, outbox, effects in
            link.heard(at: now)
            for event in happened { link.handle(event, of: number, at: now, &outbox, into: &effects) }
        }
    }

    /// Writes what the sockets take.
    func flush(_ buffer: UnsafeMutableRawBufferPointer, at now: UInt64) {
        for connection in connections.values where !(connection.connection?.flush() ?? true) {
            broken(connection, buffer, at: now)
        }
    }

    /// The socket takes nothing any more: what it still has to say comes first.
    private func broken(_ connection: LoopLink, _ buffer: UnsafeMutableRawBufferPointer, at now: UInt64) {
        let (id, number) = (connection.id, links.number(of: connection.id))
        for _ in 0..<16 where links.number(of: id) == number { receive(connection, buffer, at: now) }
        guard let number, links.number(of: id) == number, let happened = connection.connection?.endOfStream() else {
            return
        }
        take(happened, from: id, number, at: now)
    }
}

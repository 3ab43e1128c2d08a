import ConvergeClient

/// What the library tells of the room: what of it is shown, and what has become of what was sent.
extension LineSession {
    mutating func handle(_ event: ClientEvent, at now: UInt64, into effects: inout [Effect]) {
        guard phase != .over else { return }
        if event.room == entering?.room { return arrive(event.event, at: now, &effects) }
        guard event.room == room else { return }
        switch event.event {
        case .connection(let state): connection(state, at: now, &effects)
        case .message(let line, let isMissed):
            show(.message(line), isMissed, at: now, &effects)
            if isOwn(line.userID) { echoes.saw(line.id, mayBeUnstored: messages > 0) }
        case .presence(let line, _, let isMissed): show(.system(line), isMissed, at: now, &effects)
        case .resumed(let recovered, let missed, let documents):
            isResuming = false
            progress = now
            effects += format.resumed(room, recovered: recovered, missed: missed, documents: documents)
                .map { .print($0) }
        case .document(let change) where !Self.answers.contains(change.type):
            show(.document(change), false, at: now, &effects)
        case .document: break
        case .sending(let key, let state):
            let line = lines[key]
            if state.isFinal { lines[key] = nil }
            sending(state, line, at: now, &effects)
        case .latency(let time): latency = time
        case .complaint(let what): mistake(what, nil, &effects)
        }
        proceed(at: now, &effects)
    }

    private mutating func show(_ event: ChatEvent, _ isMissed: Bool, at now: UInt64, _ effects: inout [Effect]) {
        if isMissed { progress = now }
        effects += format.lines(event, isMissed: isMissed).map { .print($0) }
    }

    private func isOwn(_ user: String) -> Bool { format.ownID.map { $0.utf8.elementsEqual(user.utf8) } ?? false }

    private mutating func connection(_ state: ConnectionState, at now: UInt64, _ effects: inout [Effect]) {
        switch state {
        case .connecting(let url, _):
            if phase == .connecting {
                first.tries(url)
            } else if isLive {
                lost(FirstConnection.sentAway, &effects)
            }
        case .live(let url, let node, let userID, let name):
            let wasLive = isLive
            live(url, node, userID, at: now, &effects)
            guard !wasLive else { break }
            if phase == .connecting {
                phase = .chatting
                progress = now
                for reason in first.failures where !format.isJSON { effects.append(.note(reason)) }
                effects += format.lines(.welcome(Welcome(room: room, userID: userID, displayName: name)))
                    .map { .print($0) }
            } else {
                isResuming = true
                tellBack(&effects)
            }
        case .waiting(_, let reason):
            if phase == .connecting {
                first.failed(reason)
                if first.isHopeless { giveUp(nil, &effects) }
            } else if isLive {
                lost(reason, &effects)
            } else {
                lossReason = reason
            }
        case .ended(.left): break
        case .ended(let reason): giveUp(reason.message, &effects)
        }
    }

    mutating func live(
        _ url: ServerURL, _ node: String?, _ userID: String, at now: UInt64, _ effects: inout [Effect]
    ) {
        format.ownID = userID
        server = url.authority
        self.node = node
        if !isLive { latency = nil }
        isLive = true
        // Scripts don't look.
        if isInteractive, let node, names.wants(server, for: node, at: Int64(clamping: now / 1_000_000)) {
            effects.append(.lookUp(url))
        }
    }

    /// What a server has said of nodes: their names, by their replicas.
    mutating func learn(_ names: [String: String]) { self.names.learn(names) }

    private mutating func lost(_ reason: String, _ effects: inout [Effect]) {
        isLive = false
        isResuming = false
        lossReason = reason
        effects.append(
            format.isJSON
                ? .print(LineJSON.connection("lost", room, server, reason: reason))
                : .note("not connected: \(reason); trying again"))
    }

    func tellBack(_ effects: inout [Effect]) {
        effects.append(
            format.isJSON
                ? .print(LineJSON.connection("live", room, server)) : .note("connected again, to \(server)"))
    }

    /// The library has taken the message of a line.
    mutating func sent(key: String, line: Int?) {
        if lines.count < Self.inFlight { lines[key] = line }
    }

    mutating func sending(_ state: SendState, _ line: Int?, at now: UInt64, _ effects: inout [Effect]) {
        switch state {
        case .queued, .sent: return
        case .stored(let receipt): echoes.stored(receipt.id)
        case .refused(let reason): mistake(reason, line, &effects)
        }
        messages = max(messages - 1, 0)
        if messages == 0 { echoes.forgetSeen() }
        progress = now
        echoUntil = now + Self.echoWait
    }

    /// The library does not take a message.
    mutating func notSent(_ reason: String, line: Int?, at now: UInt64, into effects: inout [Effect]) {
        sending(.refused(reason), line, at: now, &effects)
        proceed(at: now, &effects)
    }
}

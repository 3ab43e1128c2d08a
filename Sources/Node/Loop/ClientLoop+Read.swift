import ConvergeTransport
import ConvergeWire

/// The way in: bytes to requests and messages, and what is done about them.
extension ClientLoop {
    mutating func read(_ slot: UInt32) {
        let connection = connections[slot]
        switch StreamSocket.receive(connection.pointee.descriptor, into: readBuffer) {
        case .moved(let count):
            counts.bytesIn += count
            connection.pointee.heard = now
            boundDiscarded(slot, count)
            let bytes = UnsafeMutableRawBufferPointer(rebasing: readBuffer[..<count])
            if let tls = connection.pointee.tls { takeSealed(bytes, slot, tls) } else { take(bytes, slot) }
        case .wouldBlock: break
        case .closed: lose(slot)
        }
    }

    mutating func take(_ bytes: UnsafeMutableRawBufferPointer, _ slot: UInt32) {
        switch connections[slot].pointee.phase {
        case .http: takeRequests(bytes, slot)
        case .unidentified, .entering, .chat, .echo, .closing: takeFrames(bytes, slot)
        case .waiting, .lingering, .free, .dead: break
        }
    }

    // MARK: HTTP

    private mutating func takeRequests(_ bytes: UnsafeMutableRawBufferPointer, _ slot: UInt32) {
        let connection = connections[slot]
        var offset = 0
        while offset < bytes.count, connection.pointee.phase == .http, !connection.pointee.endAfterFlush {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            guard let (consumed, step) = connection.pointee.http?.receive(rest) else { return }
            offset += consumed
            switch step {
            case .needMore:
                let latest = now + options.readTimeout
                if connection.pointee.deadline > latest {  // it was idle: the head's own time begins
                    connection.pointee.deadline = latest
                    schedule(slot)
                }
            case .refused(let refusal):
                refuseRequest(slot, refusal.response)
            case .request(let request):
                let decision = admission.decide(request, metrics: metrics, wall: SystemClock.wallMilliseconds())
                switch decision {
                case .chat(_, let session):
                    connection.pointee.story = SessionStory(
                        user: session.user, client: client(of: slot, request), began: now)
                case .ask:
                    connection.pointee.story = SessionStory(user: "", client: client(of: slot, request), began: now)
                case .respond, .forbid, .refuse, .echo: break
                }
                if !sessionsHaveBegun {
                    let rest = Array(bytes[offset...])
                    switch decision {
                    case .chat(let handshake, let session):
                        return wait(slot, AskedSession(handshake, session, rest: rest))
                    case .ask(let handshake): return wait(slot, AskedSession(handshake, nil, rest: rest))
                    case .respond, .forbid, .refuse, .echo: break
                    }
                }
                carryOut(decision, request, slot)
            }
        }
        if connection.pointee.phase != .http, offset < bytes.count {
            takeFrames(UnsafeMutableRawBufferPointer(rebasing: bytes[offset...]), slot)
        }
    }

    private mutating func carryOut(_ decision: Admission.Decision, _ request: Request, _ slot: UInt32) {
        let connection = connections[slot]
        switch decision {
        case .respond(let response): respond(response, request, slot)
        case .echo(let handshake):
            upgrade(slot, handshake, options.echo)
            connection.pointee.phase = .echo
            markDirty(slot)
            schedule(slot)
        case .refuse(let handshake, let reason, let cause):
            logRefusal(cause, of: client(of: slot, request))
            upgrade(slot, handshake, options.webSocket)
            connection.pointee.phase = .closing
            close(slot, .policyViolation, reason)
        case .forbid(let origin):
            complain(of: origin, request, slot)
            respond(HTTPRefusal.originNotAllowed.response, request, slot)
        case .chat(let handshake, let session): begin(slot, handshake, session)
        case .ask(let handshake): askWho(slot, handshake)
        }
    }

    private mutating func respond(_ response: HTTPResponse, _ request: Request, _ slot: UInt32) {
        let keepAlive = request.keepAlive && reading && response.status.rawValue < 400
        reply(slot) { response.encode(into: &$0, keepAlive: keepAlive, isHead: request.method == .head) }
        connections[slot].pointee.deadline = now + options.idleTimeout
        if !keepAlive { connections[slot].pointee.endAfterFlush = true }
        schedule(slot)
    }

    /// A page that may not connect: its owner sees nothing but a failed connection, so the operator is told which it was.
    private mutating func complain(of origin: Text, _ request: Request, _ slot: UInt32) {
        guard let left = complaints.take("origin refused", at: now) else { return }
        let shown = String(String.UnicodeScalarView(origin.string.unicodeScalars.prefix(200)))
        var fields = [LogField("origin", shown), LogField("client", client(of: slot, request))]
        if left > 0 { fields.append(LogField("left_out", left)) }
        log.write(.warn, "origin refused", fields)
    }

    /// Answers with the upgrade and lets the core know of the session.
    mutating func begin(_ slot: UInt32, _ handshake: Admission.Handshake, _ session: Admission.Session) {
        upgrade(slot, handshake, options.webSocket)
        begin(slot, session)
    }

    /// Answers with the upgrade and waits for the frame that says whose session it is.
    mutating func askWho(_ slot: UInt32, _ handshake: Admission.Handshake) {
        upgrade(slot, handshake, options.webSocket)
        connections[slot].pointee.phase = .unidentified
        connections[slot].pointee.deadline = now + options.readTimeout
        markDirty(slot)
        schedule(slot)
    }

    private mutating func begin(_ slot: UInt32, _ session: Admission.Session) {
        let connection = connections[slot]
        connection.pointee.phase = .entering
        connection.pointee.resume = session.resume
        connection.pointee.sessionKnown = true
        connection.pointee.deadline = .max
        let isSecond = connection.pointee.speaks == .second
        if isSecond { connection.pointee.nextCursors = now + options.cursorPeriod }
        log.write(
            .info, "session opened", ("session", id(of: slot).description), ("user", session.user),
            isSecond ? ("protocol", "\(connection.pointee.speaks.subprotocol)") : ("room", session.room ?? ""),
            ("client", connection.pointee.story?.client ?? ""))
        let event =
            if let room = session.room {
                SessionEvent.entered(user: session.user, displayName: session.displayName, room: room)
            } else {
                SessionEvent.arrived(
                    SessionName(high: SecureRandom.word(), low: SecureRandom.word()), user: session.user,
                    displayName: session.displayName)
            }
        outgoing.append(.session(id(of: slot), event))
        schedule(slot)
    }

    /// The first frame of who has shown no token before.
    private mutating func takeToken(_ text: UnsafeRawBufferPointer, _ slot: UInt32) {
        let client = connections[slot].pointee.story?.client ?? ""
        let answer = AuthFrame.token(text).map {
            admission.session($0, room: nil, resume: nil, wall: SystemClock.wallMilliseconds())
        }
        switch answer ?? .refused(reason: Admission.unauthorized, cause: "the first frame shows no token") {
        case .bearer(let session):
            connections[slot].pointee.story = SessionStory(user: session.user, client: client, began: now)
            begin(slot, session)
        case .refused(let reason, let cause):
            if reason == Admission.unauthorized { metrics.authFailures.add(1) }
            logRefusal(cause, of: client)
            close(slot, .policyViolation, reason)
        }
    }

    private func client(of slot: UInt32, _ request: Request) -> String {
        guard let peer = IPAddress(remoteOf: connections[slot].pointee.descriptor) else { return "" }
        guard !options.trustedProxies.isEmpty else { return peer.description }
        return ClientAddress.of(
            peer: peer, forwarded: request.fields.all("x-forwarded-for"), trusted: options.trustedProxies
        ).description
    }

    /// Anybody can cause these, as often as they like.
    private mutating func logRefusal(_ cause: String, of client: String) {
        guard log.writes(.info), let left = complaints.take(cause, at: now) else { return }
        var fields = [LogField("client", client), LogField("reason", cause)]
        if left > 0 { fields.append(LogField("left_out", left)) }
        log.write(.info, "session refused", fields)
    }

    private mutating func upgrade(
        _ slot: UInt32, _ handshake: Admission.Handshake, _ limits: WebSocketMachine.Limits
    ) {
        let connection = connections[slot]
        connection.pointee.speaks = handshake.generation
        metrics.upgrades.add(1)
        connection.pointee.http = nil
        connection.pointee.webSocket = WebSocketMachine(role: .server, limits: limits)
        connection.pointee.deadline = .max
        connection.pointee.nextPing = now + options.pingPeriod
        // Not flushed: it leaves with the first frame, which is on its way.
        handshake.accept.withUnsafeBytes { accept in
            connection.pointee.output.append(frames: 0) {
                HTTPResponse.appendSwitchingProtocols(
                    accept: accept, subprotocol: handshake.subprotocol, to: &$0)
            }
        }
        // Whatever is dropped later, frames need the answer that they stand behind.
        connection.pointee.output.keep()
    }

    mutating func refuseRequest(_ slot: UInt32, _ response: HTTPResponse) {
        metrics.badRequests.add(1)
        reply(slot) { response.encode(into: &$0, keepAlive: false) }
        connections[slot].pointee.endAfterFlush = true
        connections[slot].pointee.deadline = now + options.writeTimeout
        schedule(slot)
    }

    // MARK: WebSocket

    private mutating func takeFrames(_ bytes: UnsafeMutableRawBufferPointer, _ slot: UInt32) {
        let connection = connections[slot]
        var offset = 0
        while connection.pointee.isOpen, connection.pointee.phase != .lingering {
            switch connection.pointee.webSocket.next(bytes, &offset) {
            case .needMore:
                return
            case .message(let opcode, let payload):
                if connection.pointee.phase == .echo {
                    reply(slot) { WebSocketFrame.append(opcode, payload, to: &$0) }
                    pauseIfBehind(slot)
                } else if connection.pointee.phase == .unidentified {
                    takeToken(payload, slot)
                } else if connection.pointee.phase != .closing {
                    takeMessage(payload, slot)
                }
            case .ping(let payload):
                if connection.pointee.phase != .closing {
                    reply(slot) { WebSocketFrame.append(.pong, payload, to: &$0) }
                }
            case .pong:
                break
            case .close(let code, _):
                closed(slot, code)
            case .fail(let violation):
                fail(slot, violation)
            }
        }
    }

    private mutating func takeMessage(_ text: UnsafeRawBufferPointer, _ slot: UInt32) {
        counts.framesIn += 1
        let generation = connections[slot].pointee.speaks
        let isBusy = core.depth + outgoing.count > options.coreBacklog
        switch session.receive(text, as: generation, coreIsBusy: isBusy) {
        case .forward(let ref, let command):
            outgoing.append(.session(id(of: slot), .command(ref: ref, command)))
        case .refuse(let code, let detail, let ref):
            metrics.refusedByLoops.add(1, code.text.string)
            let stamp = FrameStamp(id: frameIDs.next(), milliseconds: SystemClock.wallMilliseconds())
            var text = ByteBuffer()
            encoders[generation].error(stamp, code, detail: detail, ref: ref, to: &text)
            reply(slot) { WebSocketFrame.append(.text, text.bytes, to: &$0) }
        }
        pauseIfBehind(slot)
    }

    /// A client that does not take its replies is not asked for more.
    private mutating func pauseIfBehind(_ slot: UInt32) {
        let connection = connections[slot]
        guard connection.pointee.backlog > options.sendBytes, !connection.pointee.readPaused else { return }
        flush(slot)
    }
}

import ConvergeWire

/// The lengths a session keeps to, in UTF-8 bytes.
struct SessionLimits: Sendable {
    var body: Int
    var room: Int
    var user: Int
    /// A document's name; wide enough for a path, narrow enough for an index.
    var document = 256
}

/// Decides about each text frame of a session before it goes to the core: is it a command, is it within the limits.
///
/// One serves all sessions of a loop: what it knows of a session it is told. It answers errors; none of them ends the
/// connection.
struct SessionMachine {
    enum Action: Sendable, Equatable {
        /// To the core, in order.
        case forward(ref: Text?, ClientCommand)
        /// An `error` frame with this text.
        case refuse(Text, ref: Text?)
    }

    let limits: SessionLimits

    /// What a refusal is counted as, which is its text without what the client wrote.
    static func label(of reason: Text) -> String {
        reason.string.split(separator: ":", maxSplits: 1).first.map(String.init) ?? ""
    }

    /// The labels there are.
    static let labels = [
        "busy", "invalid message", "unknown type", "message required", "message too large", "invalid room",
        "invalid document",
    ]

    /// - Parameter coreIsBusy: the core has more waiting than it should; commands are refused until it has caught up.
    func receive(_ text: UnsafeRawBufferPointer, coreIsBusy: Bool) -> Action {
        let frame: ClientFrame
        do throws(ClientFrameError) {
            frame = try ClientFrame.decode(text)
        } catch {
            return .refuse(error.reason, ref: error.ref)
        }
        if coreIsBusy { return .refuse(Refusal.busy.text, ref: frame.ref) }
        if let problem = problem(with: frame.command) { return .refuse(problem, ref: frame.ref) }
        return .forward(ref: frame.ref, frame.command)
    }

    private func problem(with command: ClientCommand) -> Text? {
        switch command {
        case .message(let message):
            if message.body.isEmpty { return "message required" }
            if message.body.count > limits.body { return "message too large" }
            if let room = message.room, room.byteCount > limits.room { return "invalid room" }
        case .join(let room):
            if room.isEmpty || room.byteCount > limits.room { return "invalid room" }
        case .write(let command):
            if command.doc.byteCount > limits.document { return "invalid document" }
            if let room = command.room, room.byteCount > limits.room { return "invalid room" }
            let write = command.write
            if write.key.byteCount + (write.value?.byteCount ?? 0) > limits.body { return "message too large" }
        case .read(let asked):
            if asked.doc.byteCount > limits.document { return "invalid document" }
            if let room = asked.room, room.byteCount > limits.room { return "invalid room" }
        case .users(let room?, _, _), .history(let room?, _, _), .resume(let room?, _):
            if room.byteCount > limits.room { return "invalid room" }
        case .users, .history, .resume, .rooms, .leave, .documents:
            break
        }
        return nil
    }
}

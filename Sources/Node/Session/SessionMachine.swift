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
        /// An `error` frame, which repeats this much of what the client wrote.
        case refuse(ErrorCode, detail: Text? = nil, ref: Text?)
    }

    let limits: SessionLimits

    /// Why commands are refused here, before they come to the core.
    static let refusals: [ErrorCode] = [
        .busy, .invalidMessage, .unknownType, .messageRequired, .messageTooLarge, .invalidRoom, .invalidDocument,
    ]

    /// - Parameter coreIsBusy: the core has more waiting than it should; commands are refused until it has caught up.
    func receive(
        _ text: UnsafeRawBufferPointer, as generation: ProtocolGeneration = .first, coreIsBusy: Bool
    ) -> Action {
        let frame: ClientFrame
        do throws(ClientFrameError) {
            frame = try ClientFrame.decode(text, as: generation)
        } catch {
            return .refuse(error.code, detail: error.detail, ref: error.ref)
        }
        if coreIsBusy { return .refuse(.busy, ref: frame.ref) }
        if let problem = problem(with: frame.command, generation) { return .refuse(problem, ref: frame.ref) }
        return .forward(ref: frame.ref, frame.command)
    }

    private func problem(with command: ClientCommand, _ generation: ProtocolGeneration) -> ErrorCode? {
        // Who is in one room may leave it out; who is in many says which.
        func isRoom(_ room: Text?) -> Bool {
            guard let room, !room.isEmpty else { return generation == .first }
            return room.byteCount <= limits.room
        }
        switch command {
        case .message(let message):
            if message.body.isEmpty { return .messageRequired }
            if message.body.count > limits.body { return .messageTooLarge }
            if !isRoom(message.room) { return .invalidRoom }
        case .join(let room):
            if room.isEmpty || !isRoom(room) { return .invalidRoom }
        case .write(let command):
            if command.doc.byteCount > limits.document { return .invalidDocument }
            if !isRoom(command.room) { return .invalidRoom }
            let write = command.write
            if write.key.byteCount + (write.value?.byteCount ?? 0) > limits.body { return .messageTooLarge }
        case .read(let asked):
            if asked.doc.byteCount > limits.document { return .invalidDocument }
            if !isRoom(asked.room) { return .invalidRoom }
        case .users(let asked):
            if !isRoom(asked.room) { return .invalidRoom }
        case .history(let room, _, _), .resume(let room, _), .documents(let room):
            if !isRoom(room) { return .invalidRoom }
        case .subscribe(let command):
            if !isRoom(command.room) { return .invalidRoom }
        case .unsubscribe(let room):
            if !isRoom(room) { return .invalidRoom }
        case .rooms, .leave:
            break
        }
        return nil
    }
}

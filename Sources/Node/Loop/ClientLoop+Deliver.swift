import ConvergeCRDT
import ConvergeTransport
import ConvergeWire

/// The way out: what the core hands out is gathered by room and leaves in one `send` a member and turn.
extension ClientLoop {
    mutating func deliver(_ batch: FrameBatch) {
        position.merge(batch.position)
        if let own = batch.own { self.own = own }
        for record in batch.records {
            switch record.target {
            case .room(let room):
                if room < rooms.count, !rooms[room].pointee.isEmpty {
                    append(batch.bytes(of: record), dot: record.dot, to: room)
                }
                if let dot = record.dot { position.advance(to: dot) }
            case .unshown(let room, let twin):
                guard let dot = record.dot else { continue }
                if room < rooms.count, !rooms[room].pointee.isEmpty { noteUnshown(dot, twin, in: room) }
                position.advance(to: dot)
            case .session(let session):
                if let slot = slot(of: session) { send(batch.bytes(of: record), to: slot) }
            case .enter(let session, let room, let name):
                enter(session, room, name)
                if let slot = slot(of: session) {
                    if !record.range.isEmpty { send(batch.bytes(of: record), to: slot) }
                    if let cursor = exchange(&connections[slot].pointee.resume, for: nil) {
                        resume(slot, from: cursor, ref: nil)
                    }
                }
            case .begin:
                beginAll()
            case .setBack:
                setBack(to: batch.position)
            case .catchUp(let room):
                feedAll(room)
            case .leave(let session):
                if let slot = slot(of: session) { close(slot, .normal, "") }
            case .resume(let session, let request):
                // In order with its moves, so it is in that room unless it is on its way out.
                if let slot = slot(of: session), connections[slot].pointee.room == request.room {
                    if let cursor = request.cursor {
                        resume(slot, from: cursor, ref: request.ref)
                    } else {
                        tellStanding(slot, ref: request.ref)
                    }
                }
            }
        }
    }

    // MARK: Rooms

    /// The room is handed an event that it is not shown.
    private mutating func noteUnshown(_ dot: Dot, _ twin: Dot?, in room: UInt32) {
        rooms[room].pointee.unshown.note(dot, twin: twin)
        // A page may have been faster than what the core hands out.
        for slot in rooms[room].pointee.slow where connections[slot].pointee.feed?.feed.hasFed(dot) == true {
            connections[slot].pointee.fedUnshown = rooms[room].pointee.unshown.among(
                connections[slot].pointee.fedUnshown + [dot])
        }
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer, dot: Dot?, to room: UInt32) {
        let there = rooms[room]
        if !there.pointee.slow.isEmpty { offer(bytes, dot: dot, toSlowMembersOf: room) }
        if there.pointee.frames < 0 { beginFrames(room) }
        let comesBack = dot.flatMap { takenBack.covers($0) ? $0 : nil }
        if let comesBack { forMembers(of: room, shown: comesBack) { loop, slot in loop.catchUp(slot) } }
        let frames = turns[UInt32(there.pointee.frames)]
        frames.pointee.bytes.append(bytes)
        frames.pointee.frames.append((frames.pointee.bytes.count, dot))
        turnBytes += bytes.count
        if let comesBack { forMembers(of: room, shown: comesBack) { loop, slot in loop.passOver(slot, frames) } }
    }

    private mutating func beginFrames(_ room: UInt32) {
        turns.grow(to: turnsUsed + 1)
        turns[UInt32(turnsUsed)].pointee.room = room
        rooms[room].pointee.frames = Int32(turnsUsed)
        turnsUsed += 1
    }

    /// Puts the session into the room: what is appended to the room from here on is for it.
    private mutating func enter(_ session: SessionID, _ room: UInt32, _ name: Text) {
        guard let slot = slot(of: session) else { return }
        let connection = connections[slot]
        if connection.pointee.phase == .entering { connection.pointee.phase = .chat }
        guard connection.pointee.phase == .chat, connection.pointee.room != room else { return }
        leaveRoom(slot)
        rooms.grow(to: Int(room) + 1)
        let there = rooms[room]
        if there.pointee.isEmpty {
            there.pointee.name = name
            there.pointee.since = position
            there.pointee.unshown = UnshownEvents()
        }
        connection.pointee.room = room
        connection.pointee.entered = position
        connection.pointee.fedUnshown = []
        connection.pointee.base = position
        addMember(slot)
    }

    /// Makes the connection a live member of its room, from the present end of the room's frames on.
    mutating func addMember(_ slot: UInt32) {
        let connection = connections[slot]
        let room = rooms[connection.pointee.room]
        connection.pointee.feed = nil
        connection.pointee.memberIndex = UInt32(room.pointee.members.count)
        room.pointee.members.append(slot)
        connection.pointee.turn = turn
        connection.pointee.turnOffset =
            room.pointee.frames < 0 ? 0 : UInt32(turns[UInt32(room.pointee.frames)].pointee.bytes.count)
    }

    /// Makes the connection a member of its room that is fed.
    mutating func addSlowMember(_ slot: UInt32, _ feed: FeedQueue) {
        let connection = connections[slot]
        let room = rooms[connection.pointee.room]
        connection.pointee.feed = feed
        connection.pointee.memberIndex = UInt32(room.pointee.slow.count)
        room.pointee.slow.append(slot)
    }

    /// Takes the connection off its room's list, the live one or the slow one. O(1): the last takes its place.
    mutating func removeMember(_ slot: UInt32) {
        let connection = connections[slot]
        let room = rooms[connection.pointee.room]
        let at = Int(connection.pointee.memberIndex)
        if connection.pointee.feed == nil {
            let last = room.pointee.members.removeLast()
            if last != slot {
                room.pointee.members[at] = last
                connections[last].pointee.memberIndex = UInt32(at)
            }
        } else {
            let last = room.pointee.slow.removeLast()
            if last != slot {
                room.pointee.slow[at] = last
                connections[last].pointee.memberIndex = UInt32(at)
            }
        }
    }

    mutating func leaveRoom(_ slot: UInt32) {
        let connection = connections[slot]
        guard connection.pointee.room != Connection.nowhere else { return }
        let room = rooms[connection.pointee.room]
        // Moving on: what the old room has gathered for it comes first.
        if connection.pointee.phase == .chat, connection.pointee.feed == nil { catchUp(slot) }
        removeMember(slot)
        connection.pointee.feed = nil
        connection.pointee.room = Connection.nowhere
        if room.pointee.isEmpty, room.pointee.members.capacity > 16 { room.pointee.members = [] }
    }

    // MARK: Sessions

    /// Sends a frame to one session, behind what it has coming of its room.
    mutating func send(_ bytes: UnsafeRawBufferPointer, to slot: UInt32) {
        reply(slot) { $0.append(bytes) }
    }

    mutating func reply(_ slot: UInt32, _ encode: (inout ByteBuffer) -> Void) {
        let connection = connections[slot]
        guard !connection.pointee.closeSent else { return }
        if connection.pointee.backlog > options.replyBytes {
            // Who speaks HTTP can't be told in a frame, and gets no answer that is cut.
            if connection.pointee.phase == .http { giveUpAsSlow(slot) } else { closeAsSlow(slot, "too slow") }
            return
        }
        if connection.pointee.room != Connection.nowhere, connection.pointee.feed == nil { catchUp(slot) }
        connection.pointee.output.append(encode)
        counts.framesOut += 1
        markDirty(slot)
    }

    func unseenOffset(_ slot: UInt32) -> Int {
        let connection = connections[slot]
        return connection.pointee.turn == turn ? Int(connection.pointee.turnOffset) : 0
    }

    /// Moves the frames that its room has gathered so far in this turn into the connection's own queue.
    mutating func catchUp(_ slot: UInt32) {
        let connection = connections[slot]
        let index = rooms[connection.pointee.room].pointee.frames
        guard index >= 0 else { return }
        let frames = turns[UInt32(index)]
        let offset = unseenOffset(slot)
        guard offset < frames.pointee.bytes.count else { return }
        queue(slot, frames, from: offset)
        if connection.pointee.feed == nil {
            connection.pointee.turn = turn
            connection.pointee.turnOffset = UInt32(frames.pointee.bytes.count)
        }
    }

    /// Appends a run of its room's frames to a connection's queue, or takes it off the live stream where they don't fit.
    private mutating func queue(_ slot: UInt32, _ frames: UnsafeMutablePointer<TurnFrames>, from offset: Int) {
        let connection = connections[slot]
        let count = frames.pointee.count(from: offset)
        let bytes = frames.pointee.bytes.count - offset
        let fits =
            connection.pointee.backlog == 0
            || (connection.pointee.output.frames + count <= options.sendFrames
                && connection.pointee.backlog + bytes <= options.sendBytes)
        guard fits else {
            takeOffLive(slot, frames, from: offset)
            return
        }
        connection.pointee.output.append(frames.pointee, from: offset, to: frames.pointee.bytes.count)
        counts.framesOut += count
        markDirty(slot)
    }

    mutating func markDirty(_ slot: UInt32) {
        let connection = connections[slot]
        guard !connection.pointee.dirty else { return }
        connection.pointee.dirty = true
        dirty.append(slot)
    }

    // MARK: Sending

    mutating func flushTurn() {
        if turnsUsed > 0 {
            for index in 0..<UInt32(turnsUsed) { flushRoom(turns[index]) }
            turnsUsed = 0
            turnBytes = 0
        }
        // Flushing may close a connection, and closing appends to the list: so by index.
        var index = 0
        while index < dirty.count {
            let slot = dirty[index]
            index += 1
            connections[slot].pointee.dirty = false
            if connections[slot].pointee.isOpen { flush(slot) }
        }
        dirty.removeAll(keepingCapacity: dirty.count < 4_096)
    }

    private mutating func flushRoom(_ frames: UnsafeMutablePointer<TurnFrames>) {
        let room = rooms[frames.pointee.room]
        let all = frames.pointee.bytes.bytes
        let frameCount = frames.pointee.frames.count
        // Downwards, because taking a slow member off moves the last one into its place.
        var index = room.pointee.members.count
        while index > 0 {
            index -= 1
            let slot = room.pointee.members[index]
            let connection = connections[slot]
            let offset = connection.pointee.turn == turn ? Int(connection.pointee.turnOffset) : 0
            guard offset < all.count else { continue }
            guard connection.pointee.backlog == 0, connection.pointee.tls == nil else {
                if let tls = connection.pointee.tls, connection.pointee.backlog == 0 {
                    sendSealed(slot, tls, frames, from: offset)
                } else {
                    queue(slot, frames, from: offset)
                }
                continue
            }
            let run = offset == 0 ? all : UnsafeRawBufferPointer(rebasing: all[offset...])
            switch StreamSocket.send(connection.pointee.descriptor, run) {
            case .moved(let sent):
                counts.bytesOut += sent
                if sent == run.count {
                    counts.framesOut += offset == 0 ? frameCount : frames.pointee.count(from: offset)
                } else {
                    keepRest(slot, frames, from: offset, sent: sent)
                }
            case .wouldBlock: keepRest(slot, frames, from: offset, sent: 0)
            case .closed: lose(slot)
            }
        }
        room.pointee.frames = -1
        frames.pointee.bytes.removeAll(keeping: 256 << 10)
        frames.pointee.frames.removeAll(keepingCapacity: frames.pointee.frames.capacity < 4_096)
    }

    /// The socket took only part of the run: the rest waits, if it is within the limits; otherwise only the frame that was
    /// cut, and the client is taken off the live stream after it.
    mutating func keepRest(
        _ slot: UInt32, _ frames: UnsafeMutablePointer<TurnFrames>, from offset: Int, sent: Int
    ) {
        let connection = connections[slot]
        connection.pointee.progressed = now
        let start = offset + sent
        let left = frames.pointee.count(from: start)
        counts.framesOut += frames.pointee.count(from: offset) - left
        if left <= options.sendFrames, frames.pointee.bytes.count - start <= options.sendBytes {
            queue(slot, frames, from: start)
        } else {
            let cut = frames.pointee.end(around: start)
            if let cut {
                connection.pointee.output.append(frames.pointee, from: start, to: cut)
                counts.framesOut += 1
            }
            takeOffLive(slot, frames, from: cut ?? start)
        }
        waitToWrite(slot)
    }

    /// Sends what waits, as far as the socket takes it.
    mutating func flush(_ slot: UInt32) {
        let connection = connections[slot]
        if let tls = connection.pointee.tls {
            flushSealed(slot, tls)
            return
        }
        while connection.pointee.backlog > 0 {
            switch StreamSocket.send(connection.pointee.descriptor, connection.pointee.output.bytes) {
            case .moved(let sent):
                counts.bytesOut += sent
                connection.pointee.output.leave(sent)
                connection.pointee.progressed = now
                // Its pongs are not read meanwhile; that it takes what waits shows that it lives.
                if connection.pointee.readPaused { connection.pointee.heard = now }
            case .wouldBlock:
                waitToWrite(slot)
                return
            case .closed:
                lose(slot)
                return
            }
        }
        connection.pointee.output.removeAll()
        emptied(slot)
    }

    /// Nothing waits any more.
    mutating func emptied(_ slot: UInt32) {
        let connection = connections[slot]
        if connection.pointee.wantsWrite || connection.pointee.readPaused {
            connection.pointee.wantsWrite = false
            connection.pointee.readPaused = false
            updateInterest(slot)
        }
        flushed(slot)
    }

    mutating func waitToWrite(_ slot: UInt32) {
        let connection = connections[slot]
        if connection.pointee.output.sentCount > 64 << 10 { connection.pointee.output.compact() }
        // Who has not taken the close frame can't answer it yet: reading on would serve a flood, and nothing else.
        let pause = connection.pointee.backlog > options.sendBytes || connection.pointee.phase == .closing
        if connection.pointee.wantsWrite, connection.pointee.readPaused == pause {
            askForFeed(slot)
            return
        }
        if !connection.pointee.wantsWrite {
            connection.pointee.wantsWrite = true
            connection.pointee.progressed = now
            schedule(slot)
        }
        connection.pointee.readPaused = pause
        updateInterest(slot)
        askForFeed(slot)
    }

}

import ConvergeCRDT
import ConvergeTransport
import ConvergeWire

/// The way out, below `Delivery`: bytes to sockets, and what a socket does not take.
extension ClientLoop {
    /// Queues the answer that `encode` writes, behind what the session has coming of its rooms.
    mutating func reply(_ slot: UInt32, _ encode: (inout ByteBuffer) -> Void) {
        let connection = connections[slot]
        guard !connection.pointee.closeSent else { return }
        if connection.pointee.backlog > options.replyBytes {
            // Who speaks HTTP can't be told in a frame, and gets no answer that is cut.
            if connection.pointee.phase == .http { giveUpAsSlow(slot) } else { closeAsSlow(slot, "too slow") }
            return
        }
        let delivery = delivery
        delivery.pointee.catchUp(slot, &self)
        connection.pointee.output.append(encode)
        counts.framesOut += 1
        markDirty(slot)
    }

    mutating func markDirty(_ slot: UInt32) {
        let connection = connections[slot]
        guard !connection.pointee.dirty else { return }
        connection.pointee.dirty = true
        dirty.append(slot)
    }

    mutating func flushTurn() {
        let delivery = delivery
        delivery.pointee.flush(to: &self)
        carryOutEndings()
        // Flushing may close a connection, and closing appends to the list: so by index.
        var index = 0
        while index < dirty.count {
            let slot = dirty[index]
            index += 1
            connections[slot].pointee.dirty = false
            if connections[slot].pointee.isOpen { flush(slot) }
        }
        dirty.removeAll(keepingCapacity: dirty.count < 4_096)
        let counted = exchange(&delivery.pointee.counts, for: DeliveryCounts())
        if counted.takenOff > 0 { metrics.slowTakenOff.add(counted.takenOff) }
        if counted.overtaken > 0 { metrics.slowOvertaken.add(counted.overtaken) }
        if counted.fed > 0 { metrics.slowFed.add(counted.fed) }
    }

    /// Sends a run of frames to a session for which nothing waits.
    /// - Returns: up to where it takes them: where the rest is too much to wait, the end of the frame that was cut.
    mutating func send(_ frames: borrowing TurnFrames, from offset: Int, _ slot: UInt32) -> Int {
        if let tls = connections[slot].pointee.tls { return sendSealed(frames, from: offset, slot, tls) }
        let run = frames.bytes.bytes(offset..<frames.bytes.count)
        switch StreamSocket.send(connections[slot].pointee.descriptor, run) {
        case .moved(let sent):
            counts.bytesOut += sent
            guard sent == run.count else { return keepRest(frames, from: offset, sent: sent, slot) }
            counts.framesOut += frames.count(from: offset)
            return frames.bytes.count
        case .wouldBlock: return keepRest(frames, from: offset, sent: 0, slot)
        case .closed: return lost(frames, slot)
        }
    }

    /// The socket is gone. As if all were taken: nothing is to be fed to it.
    mutating func lost(_ frames: borrowing TurnFrames, _ slot: UInt32) -> Int {
        endings.append((slot, .lost))
        return frames.bytes.count
    }

    /// The socket took only part of the run: the rest waits, if it is within the limits; otherwise only the frame that was
    /// cut.
    mutating func keepRest(_ frames: borrowing TurnFrames, from offset: Int, sent: Int, _ slot: UInt32) -> Int {
        let connection = connections[slot]
        connection.pointee.progressed = now
        let start = offset + sent
        let left = frames.count(from: start)
        counts.framesOut += frames.count(from: offset) - left
        var end = frames.bytes.count
        if left > options.sendFrames || end - start > options.sendBytes { end = frames.end(around: start) ?? start }
        if end > start {
            counts.framesOut += left - frames.count(from: end)
            connection.pointee.output.append(frames, from: start, to: end)
        }
        waitToWrite(slot)
        return end
    }

    /// Sends what waits, as far as the socket takes it; who takes it all may have more read.
    mutating func flush(_ slot: UInt32) {
        if let tls = connections[slot].pointee.tls { flushSealed(slot, tls) } else { flushPlain(slot) }
        let delivery = delivery
        delivery.pointee.askForPage(slot, &self)
    }

    private mutating func flushPlain(_ slot: UInt32) {
        let connection = connections[slot]
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
        if connection.pointee.wantsWrite, connection.pointee.readPaused == pause { return }
        if !connection.pointee.wantsWrite {
            connection.pointee.wantsWrite = true
            connection.pointee.progressed = now
            schedule(slot)
        }
        connection.pointee.readPaused = pause
        updateInterest(slot)
    }
}

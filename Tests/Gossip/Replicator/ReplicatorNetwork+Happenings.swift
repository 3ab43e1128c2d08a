import ConvergeCRDT
import ConvergeWire

@testable import ConvergeGossip

/// What happens in the network: frames arrive, stores answer, and replicators want something done.
extension ReplicatorNetwork {
    mutating func perform(_ happening: Happening) {
        switch happening {
        case .arrive(let index, let from, let link, let frame):
            guard links[pair(index, from)] == link, nodes[index].isUp else { return }
            note(frame, at: index)
            handle(.frame(from: nodes[from].replica, frame), at: index)
        case .stored(let index, let life, let outcome):
            guard nodes[index].life == life, let batch = nodes[index].inFlight else { return }
            nodes[index].inFlight = nil
            finish(batch, outcome, index)
        case .opened(let index, let life):
            guard nodes[index].life == life else { return }
            reopen(index)
        case .read(let index, let life, let ticket, let answer):
            guard nodes[index].life == life else { return }
            handle(.rangeRead(ticket: ticket, answer), at: index)
        case .snapshot(let index, let life, let ticket, let chunk):
            guard nodes[index].life == life else { return }
            handle(.snapshotRead(ticket: ticket, chunk), at: index)
        case .staged(let index, let life, let chunk, let isLast):
            guard nodes[index].life == life, nodes[index].isStaging else { return }
            if isLast {
                nodes[index].disk.install(chunk)
                let disk = nodes[index].disk
                nodes[index].applied = disk.vector
                for entry in nodes[index].open { nodes[index].applied.advance(to: entry.dot) }
                handle(.installed(vector: disk.vector, ends: disk.ends, floors: disk.floors), at: index)
                // As in a core: before the writer takes what is open, or nobody knows any more that it is applied.
                for entry in nodes[index].open { nodes[index].replicator.place(entry) }
                nodes[index].isStaging = false
            } else {
                nodes[index].isStaging = false
                nodes[index].disk.stage(chunk)
                handle(.staged, at: index)
            }
            giveWriterWork(index)
        }
    }

    mutating func note(_ frame: PeerFrame, at index: Int) {
        switch frame {
        case .entries(let entries, _):
            for entry in entries { arrivals[index, default: [:]][entry.dot, default: 0] += 1 }
        case .range(let range):
            for entry in range.entries { arrivals[index, default: [:]][entry.dot, default: 0] += 1 }
        default: break
        }
    }

    /// As a core does it: one thing at a time, an install when nothing foreign waits, then batches.
    mutating func giveWriterWork(_ index: Int) {
        guard nodes[index].isUp, nodes[index].isOpen, nodes[index].inFlight == nil, !nodes[index].isStaging else {
            return
        }
        let life = nodes[index].life
        if let piece = nodes[index].staging.first, !piece.isLast || !nodes[index].replicator.hasUnstoredForeign {
            nodes[index].staging.removeFirst()
            nodes[index].isStaging = true
            if piece.discards { nodes[index].disk.discardStage() }
            schedule(now + some(storing), .staged(index, life: life, piece.chunk, isLast: piece.isLast))
        } else if !nodes[index].open.isEmpty {
            nodes[index].inFlight = nodes[index].open
            nodes[index].open = []
            var outcome = Outcome.stored
            if failPercent > 0, random.chance(failPercent) {
                outcome = random.chance(50) ? .failed : .inDoubt(stored: random.chance(50))
            }
            schedule(now + some(storing), .stored(index, life: life, outcome))
        }
    }

    mutating func finish(_ batch: [Entry], _ outcome: Outcome, _ index: Int) {
        switch outcome {
        case .stored:
            batch.forEach { nodes[index].disk.append($0) }
            let wanted = wants[index]
            wants[index] = false
            handle(.stored(batch, wantsStored: wanted), at: index)
            giveWriterWork(index)
        case .failed, .inDoubt:
            nodes[index].isOpen = false
            nodes[index].isStaging = false
            nodes[index].staging = []
            nodes[index].disk.discardStage()
            nodes[index].open = []
            var kept: [Entry] = []
            if case .inDoubt(let isStored) = outcome {
                kept = batch
                nodes[index].doubt = (batch, isStored)
            }
            nodes[index].applied = nodes[index].disk.vector
            for entry in kept { nodes[index].applied.advance(to: entry.dot) }
            handle(.failed(kept: kept), at: index)
            schedule(now + 200, .opened(index, life: nodes[index].life))
        }
    }

    mutating func reopen(_ index: Int) {
        if let doubt = nodes[index].doubt {
            nodes[index].doubt = nil
            if doubt.stored {
                doubt.entries.forEach { nodes[index].disk.append($0) }
                handle(.stored(doubt.entries, wantsStored: false), at: index)
            }
            nodes[index].applied = nodes[index].disk.vector
            handle(.failed(kept: []), at: index)
        }
        start(index)
    }

    // MARK: The replicator

    mutating func handle(_ event: ReplicatorEvent, at index: Int) {
        var effects: [ReplicatorEffect] = []
        nodes[index].replicator.handle(event, at: now, wall: now, into: &effects)
        for effect in effects { perform(effect, index) }
        giveWriterWork(index)
    }

    mutating func perform(_ effect: ReplicatorEffect, _ index: Int) {
        let life = nodes[index].life
        switch effect {
        case .apply(let entry):
            check(entry, index)
            nodes[index].applied.advance(to: entry.dot)
            nodes[index].clock.observe(entry.timestamp, wall: now, limit: .max)
            nodes[index].open.append(entry)
        case .push(let peers, let entries, let wantsStored):
            for peer in peers {
                perform(.send(peer, .entries(entries, wantsStored: wantsStored), bulk: false), index)
            }
        case .send(let peer, let frame, bulk: _):
            guard let to = nodes.firstIndex(where: { $0.replica == peer && $0.isUp }), isLinked(index, to) else {
                return
            }
            send(frame, index, to)
        case .read(let ticket, let ranges, let bytes):
            guard !mute.contains(index) else { return }
            let answer = unreadable.contains(index) ? nil : nodes[index].disk.read(ranges, bytes: bytes)
            schedule(now + some(reading), .read(index, life: life, ticket: ticket, answer))
        case .readSnapshot(let ticket, let want):
            guard !mute.contains(index) else { return }
            let chunk = unreadable.contains(index) ? nil : nodes[index].disk.read(want, comparesEnds: comparesEnds)
            schedule(now + some(reading), .snapshot(index, life: life, ticket: ticket, chunk))
        case .stage(let chunk):
            nodes[index].staging.append((chunk, false, nodes[index].discards))
            nodes[index].discards = false
        case .install(let chunk, have: _):
            nodes[index].staging.append((chunk, true, nodes[index].discards))
            nodes[index].discards = false
        case .reload(let chunk):
            // What was only here is the store's concern.
            reloads.append(index)
            nodes[index].isOpen = false
            nodes[index].open = []
            nodes[index].disk = ReplicatorDisk()
            nodes[index].disk.install(chunk)
            handle(.reloaded, at: index)
            start(index)
        case .discardStage:
            nodes[index].staging = []
            nodes[index].discards = true
        case .peerStored(let peer, let seq): peerStored.append((index, peer, seq))
        case .ownLogForeign(_, let seq): foreign.append((index, seq))
        case .forked(let replica, seq: _, by: _): forks.append((index, replica))
        case .violation(let peer): violations.append("\(index) holds \(peer) for a violator")
        case .heldAside(let dot, until: _): violations.append("\(index) holds \(dot) aside")
        case .heldSnapshot: violations.append("\(index) holds a snapshot aside")
        case .askSharedStore: violations.append("\(index) shares no store")
        }
    }

    mutating func check(_ entry: Entry, _ index: Int) {
        let applied = nodes[index].applied
        if !nodes[index].isOpen { violations.append("\(index) applied \(entry.dot) while its store is closed") }
        if entry.dot.seq != applied[entry.dot.replica] + 1 {
            violations.append("\(index) applied \(entry.dot) after \(applied[entry.dot.replica])")
        }
        guard let item = written[entry.dot] else {
            violations.append("\(index) applied \(entry.dot), which nobody has stored")
            return
        }
        if item.entry != entry { violations.append("\(index) applied another \(entry.dot)") }
        if !applied.covers(item.context) { violations.append("\(index) applied \(entry.dot) before what it saw") }
    }

    mutating func send(_ frame: PeerFrame, _ from: Int, _ to: Int) {
        let way = [from, to]
        guard let link = links[pair(from, to)] else { return }
        if stalled.contains(way) {
            held[way, default: []].append(frame)
            return
        }
        switch frame {
        case .entries(let entries, _): ways[way, default: Way()].entries += entries.count
        case .range(let range): ways[way, default: Way()].ranged += range.entries.count
        default: break
        }
        ways[way, default: Way()].frames += 1
        if countsBytes { ways[way, default: Way()].bytes += frame.encoded().count }
        let time = max(now + some(delay), arriveBy[way] ?? 0)
        arriveBy[way] = time
        schedule(time, .arrive(to, from: from, link: link, frame))
    }
}

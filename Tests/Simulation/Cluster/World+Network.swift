import ConvergeWire

@testable import ConvergeNode

/// The network between nodes: dialling, sending, arriving, closing.
extension World {
    // MARK: Dialling

    func dial(_ address: Text, from node: SimulatedNode) {
        dials.append(Dial(from: node.index, life: node.life, address: address.string))
        var wait = networkChoices.within(scenario.delay) * 2
        if lateDialsUntil > now { wait += networkChoices.within(100_000...4_000_000) }
        trace.note(now, node.index, "dials", UInt64(dials.count), 0, address.string)
        schedule(.dialEnds(dials.count - 1), after: wait)
    }

    func endDial(_ index: Int) {
        let dial = dials[index]
        let from = nodes[dial.from]
        guard from.isUp, from.life == dial.life else { return }
        if delayed(from, .dialEnds(index)) { return }
        guard let to = nodes.first(where: { $0.address.string == dial.address }), to.isUp,
            !wires.isCut(from.index, to.index), !wires.isCut(to.index, from.index)
        else {
            postDialFailed(Text(dial.address), to: from)
            return
        }
        from.linkCount += 1
        to.linkCount += 1
        let link = Link(
            index: links.count, nodes: [from.index, to.index], lives: [from.life, to.life],
            names: [from.linkCount, to.linkCount], openedAt: now)
        links.append(link)
        from.links[from.linkCount] = link.index
        to.links[to.linkCount] = link.index
        trace.note(
            now, from.index, "linked", UInt64(to.index), UInt64(link.index), "to node \(to.index), link \(link.index)")
        postLinkOpened(link.names[0], dialled: Text(dial.address), to: from)
        postLinkOpened(link.names[1], dialled: nil, to: to)
    }

    // MARK: Sending

    func send(_ frame: [UInt8], over name: LinkName, bulk: Bool, from node: SimulatedNode) {
        guard let index = node.links[name] else { return }
        let link = links[index]
        let side = link.nodes[0] == node.index && link.names[0] == name ? 0 : 1
        guard link.ends[side].isOpen else { return }
        counts.frames += 1
        counts.bytes += frame.count + 4
        trace.note(
            now, node.index, "sends", UInt64(frame.count), UInt64(index),
            "to node \(link.nodes[1 - side]), link \(index): \(describePeerFrame(frame))")
        measures?.sent(frame, link: index, side: side, at: now)
        if bulk { link.ends[side].bulk.append(frame) } else { link.ends[side].live.append(frame) }
        link.ends[side].waitingBytes += frame.count
        if link.ends[side].waitingBytes > 64 << 20 {
            violate(.bounds, node.index, "\(link.ends[side].waitingBytes) bytes wait on one link")
        }
        if !link.ends[side].isTransmitting { transmit(link, side) }
    }

    /// Puts the next frames onto the wire, as long as that is free.
    func transmit(_ link: Link, _ side: Int) {
        link.ends[side].isTransmitting = false
        while true {
            guard link.ends[side].busyUntil <= now else {
                link.ends[side].isTransmitting = true
                queue.schedule(.transmits(link: link.index, side: side), at: link.ends[side].busyUntil)
                return
            }
            guard let frame = link.ends[side].nextFrame() else { return }
            let duration = UInt64(frame.count + 60) * 1_000_000 / scenario.bandwidth
            // Many small frames on a fast wire are not worth an event each.
            link.ends[side].busyUntil = now + (duration < 50 ? 0 : duration)
            if link.ends[side].isSilent {
                swallow(link)
                continue
            }
            let from = link.nodes[side]
            let to = link.nodes[1 - side]
            let flight = networkChoices.within(scenario.delay) + wires.extraDelay(from, to) + retransmissions()
            let arrival = max(link.ends[side].lastArrival, now + duration + flight)
            link.ends[side].lastArrival = arrival
            link.ends[side].flight.append((arrival, frame))
            awaitArrival(link, side)
        }
    }

    /// How long it takes until a segment comes through, where some are lost: the timeout doubles each time (RFC 6298).
    private func retransmissions() -> Microseconds {
        guard scenario.loss > 0 else { return 0 }
        var wait: Microseconds = 0
        var timeout = Microseconds.milliseconds(200)
        while networkChoices.chance(scenario.loss), wait < .seconds(10) {
            wait += timeout
            timeout *= 2
        }
        return wait
    }

    /// What a silent link swallows is never acknowledged, neither are answers: the system gives up on both sides.
    private func swallow(_ link: Link) {
        guard !link.isTimingOut else { return }
        link.isTimingOut = true
        schedule(.linkTimesOut(link.index), after: Self.userTimeout)
    }

    /// TCP_USER_TIMEOUT (RFC 5482): how long sent bytes may be unacknowledged.
    private static var userTimeout: Microseconds { .seconds(15) }

    private func awaitArrival(_ link: Link, _ side: Int) {
        guard !link.ends[side].isArriving, let next = link.ends[side].nextArrival else { return }
        link.ends[side].isArriving = true
        queue.schedule(.arrives(link: link.index, side: side), at: max(now, next))
    }

    /// Frames reach the other side. While the wire is cut they wait: nothing wakes them but its mending.
    func arrive(_ link: Link, _ side: Int) {
        link.ends[side].isArriving = false
        let from = link.nodes[side]
        let to = nodes[link.nodes[1 - side]]
        guard !wires.isCut(from, to.index) else { return }
        guard to.isUp, to.life == link.lives[1 - side] else { return }
        if to.pausedUntil > now {
            link.ends[side].isArriving = true
            queue.schedule(.arrives(link: link.index, side: side), at: to.pausedUntil)
            return
        }
        while let frame = link.ends[side].takeArrived(now) {
            guard link.ends[1 - side].isOpen else { continue }
            postFrame(frame, over: link.names[1 - side], to: to)
        }
        if link.ends[side].closes, link.ends[side].nextArrival == nil { endLink(link, 1 - side) }
        awaitArrival(link, side)
    }

    // MARK: Closing

    /// A core closes a link: the other side hears of it behind all that was sent before.
    func closeLink(_ name: LinkName, of node: SimulatedNode) {
        guard let index = node.links.removeValue(forKey: name) else { return }
        let link = links[index]
        let side = link.nodes[0] == node.index && link.names[0] == name ? 0 : 1
        close(link, side)
    }

    private func close(_ link: Link, _ side: Int) {
        guard link.ends[side].isOpen else { return }
        link.ends[side].isOpen = false
        link.ends[side].closes = true
        trace.note(now, link.nodes[side], "closes", UInt64(link.index), 0, "link \(link.index)")
        guard !link.ends[side].isSilent, link.ends[1 - side].isOpen else { return }
        if link.ends[side].nextArrival == nil, link.ends[side].live.isEmpty, link.ends[side].bulk.isEmpty {
            schedule(
                .linkEnds(link: link.index, side: 1 - side),
                after: networkChoices.within(scenario.delay) + wires.extraDelay(link.nodes[side], link.nodes[1 - side]))
        }
    }

    /// A side learns that its link is gone; while the wire to it is cut it learns nothing.
    func endLink(_ link: Link, _ side: Int) {
        guard link.ends[side].isOpen else { return }
        let node = nodes[link.nodes[side]]
        guard node.isUp, node.life == link.lives[side] else { return }
        if delayed(node, .linkEnds(link: link.index, side: side)) { return }
        guard !wires.isCut(link.nodes[1 - side], link.nodes[side]) else {
            schedule(.linkEnds(link: link.index, side: side), after: 500_000)
            return
        }
        link.ends[side].isOpen = false
        node.links[link.names[side]] = nil
        postLinkClosed(link.names[side], to: node)
    }

    /// All links of a process that has ended.
    func closeLinks(of node: SimulatedNode) {
        for index in node.links.values.sorted() {
            let link = links[index]
            for side in 0..<2 where link.nodes[side] == node.index && link.ends[side].isOpen {
                link.ends[side].bulk = []
                link.ends[side].live = []
                close(link, side)
            }
        }
    }

    /// Both sides lose a link at once, or only one does and the other still believes in it.
    func reset(_ link: Link, sides: [Int]) {
        for side in 0..<2 {
            link.ends[side].live = []
            link.ends[side].bulk = []
            link.ends[side].flight = []
            link.ends[side].flown = 0
        }
        for side in sides where link.ends[side].isOpen {
            link.ends[side].isOpen = false
            let node = nodes[link.nodes[side]]
            guard node.isUp, node.life == link.lives[side] else { continue }
            node.links[link.names[side]] = nil
            postLinkClosed(link.names[side], to: node)
        }
        if sides.count == 1 {
            link.ends[0].isSilent = true
            link.ends[1].isSilent = true
        }
    }

    /// Links of which both sides think that they are open.
    var openLinks: [Link] {
        links.filter { link in
            (0..<2).allSatisfy {
                link.ends[$0].isOpen && nodes[link.nodes[$0]].life == link.lives[$0] && nodes[link.nodes[$0]].isUp
            }
        }
    }

    /// After a cut has been mended: what waited arrives.
    func wakeWires() {
        for link in links where link.ends[0].isOpen || link.ends[1].isOpen {
            awaitArrival(link, 0)
            awaitArrival(link, 1)
        }
    }
}

extension Link.End {
    mutating func nextFrame() -> [UInt8]? {
        var frame: [UInt8]?
        if liveSent < live.count {
            frame = live[liveSent]
            liveSent += 1
        } else if bulkSent < bulk.count {
            frame = bulk[bulkSent]
            bulkSent += 1
        }
        if liveSent == live.count { (live, liveSent) = ([], 0) }
        if bulkSent == bulk.count { (bulk, bulkSent) = ([], 0) }
        if let frame { waitingBytes -= frame.count }
        return frame
    }

    var nextArrival: Microseconds? { flown < flight.count ? flight[flown].arrives : nil }

    mutating func takeArrived(_ now: Microseconds) -> [UInt8]? {
        guard flown < flight.count, flight[flown].arrives <= now else { return nil }
        let frame = flight[flown].frame
        flown += 1
        if flown == flight.count { (flight, flown) = ([], 0) }
        return frame
    }
}

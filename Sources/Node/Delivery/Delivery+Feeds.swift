import ConvergeCRDT
import ConvergeGossip
import ConvergeWire

/// Subscriptions that do not simply get their room's frames live: those of slow clients, which are taken off the live stream
/// when they are too far behind and fed from the store as fast as they drain, and those that resume. `Feed` decides; here
/// are the bytes.
extension Delivery where O: ~Copyable {
    /// A frame of the room, on its way to the live members, for those that are fed.
    mutating func offer(
        _ bytes: UnsafeRawBufferPointer, _ dot: Dot?, toSlowMembersOf room: UInt32, _ outlet: inout O
    ) {
        // Downwards, because a member that comes back live gives its place to the last.
        var index = subscriptions.rooms[room].pointee.slow.count
        while index > 0 {
            index -= 1
            let member = subscriptions.rooms[room].pointee.slow[index]
            guard let queue = subscriptions[member.subscription].pointee.queue else { continue }
            // Vectors are compared once a turn: until then the frame is looked at for itself.
            let isNewTurn = queue.turn != turn
            queue.turn = turn
            switch queue.feed.live(dot, position: isNewTurn ? position : nil, takenBack: takenBack) {
            case .skip: break
            case .hold: queue.hold(bytes, dot, limit: heldBytes)
            case .rejoin:
                subscriptions[member.subscription].pointee.standing.rejoin(at: queue.feed.cursor)
                subscriptions.unlink(member.subscription)
                goLive(member.subscription)
                outlet.note(.live, of: name(of: member.subscription), member.connection)
            case .show where outlet.takes(bytes.count, member.connection):
                outlet.append(bytes, .live(dot), to: member.connection)
            case .show:
                queue.feed.fallBehind(at: position)
                counts.takenOff += 1
                if case .hold = queue.feed.live(dot, position: nil) { queue.hold(bytes, dot, limit: heldBytes) }
                outlet.note(.offLive, of: name(of: member.subscription), member.connection)
                outlet.mark(member.connection)
            }
        }
    }

    // MARK: The store

    /// The store has been opened: who came before has been shown nothing of what is in it, and is not owed it. Who resumes
    /// has waited for this, and is.
    mutating func beginAll(_ outlet: inout O) {
        beginTurnHere()
        for room in 0..<UInt32(subscriptions.rooms.count) where !subscriptions.rooms[room].pointee.isEmpty {
            let there = subscriptions.rooms[room]
            there.pointee.since.merge(position)
            for member in there.pointee.live + there.pointee.slow {
                let it = subscriptions[member.subscription]
                it.pointee.standing.begin(at: position)
                it.pointee.queue?.feed.begin(at: position, own: own)
                outlet.note(
                    .began(at: position, it.pointee.queue?.feed), of: name(of: member.subscription), member.connection)
                outlet.mark(member.connection)
            }
        }
    }

    /// The store has got entries of a room that were never handed out: whoever is in the room is fed from the store from
    /// where it is, like a slow client, and comes back live when nothing is missing any more.
    mutating func feedAll(_ room: UInt32, _ outlet: inout O) {
        guard subscriptions.isKnown(room) else { return }
        let there = subscriptions.rooms[room]
        // Those who are fed already: what they have read may be from before, so none of it is the end.
        for member in there.pointee.slow {
            guard let queue = subscriptions[member.subscription].pointee.queue else { continue }
            if queue.feed.isLevel {
                queue.feed.fallBehind(at: position)
            } else {
                queue.overflow()
            }
            outlet.mark(member.connection)
        }
        while let member = there.pointee.live.last {
            catchUp(subscription: member.subscription, &outlet)
            let it = subscriptions[member.subscription]
            // Not live any more where that was too much for it.
            guard it.pointee.queue == nil else { continue }
            let cursor = it.pointee.standing.caughtUp(at: position, since: there.pointee.since)
            goSlow(member.subscription, FeedQueue(Feed(catchingUpFrom: cursor)))
            outlet.mark(member.connection)
        }
    }

    // MARK: Resuming

    /// Shows the session what it has missed of the room. What it is fed now is broken off.
    mutating func resume(_ subscription: UInt32, from cursor: ClientCursor, ref: Text?, _ outlet: inout O) {
        let it = subscriptions[subscription]
        let connection = it.pointee.connection
        let room = subscriptions.rooms[it.pointee.room]
        // What the room has gathered for it is behind it; that may be too much, and make it a slow one.
        if it.pointee.queue == nil { catchUp(subscription: subscription, &outlet) }
        guard case .at(let cursor) = cursor else {
            if it.pointee.queue != nil {
                subscriptions.unlink(subscription)
                goLive(subscription)
                it.pointee.standing.resumed(to: position)
                outlet.note(.restarted(at: position), of: name(of: subscription), connection)
            }
            tell(
                .resumed(recovered: false, cursor: handed(subscription), documents: [], ref: ref), subscription, &outlet
            )
            return
        }
        let former = it.pointee.queue?.feed
        let shown = it.pointee.standing.shown(
            at: handed(subscription), feed: former, cursor: cursor,
            unshown: room.pointee.unshown.except(fedTo: subscription), planted: planted)
        let feed = Feed(resumingFrom: cursor, shown: shown, own: believedEnd)
        goSlow(subscription, FeedQueue(feed, ref: ref))
        outlet.note(.resumes(feed, from: cursor, instead: former), of: name(of: subscription), connection)
        outlet.mark(connection)  // flushed, it asks for the first page
    }

    /// The end of this node's own log, by which cursors are judged.
    private var believedEnd: Dot? {
        guard planted.has(own == nil ? .pagesBeforeOpening : .ownCursorTrusted) else { return own }
        // Planted: as if the log were known, and were endless.
        return Dot(replica: own?.replica ?? .nobody, seq: .max)
    }

    /// Answers a session that asks for the room that it is in, with what it has been shown there, which may be less than the
    /// others have.
    mutating func tellStanding(_ subscription: UInt32, _ answer: DeliveryNotice.Answer, _ outlet: inout O) {
        let it = subscriptions[subscription]
        if it.pointee.queue == nil { catchUp(subscription: subscription, &outlet) }
        let cursor = it.pointee.queue?.feed.standing(at: position) ?? handed(subscription)
        tell(.standing(cursor, answer), subscription, &outlet)
    }

    /// Tells a session where it stands in those of its rooms that it gets live, if anything was handed out since it was told.
    /// So the cursor of a quiet room does not grow so old that its logs are pruned beyond it.
    mutating func tellCursors(_ connection: UInt32, _ outlet: inout O) {
        let place = subscriptions.place(connection)
        guard place.pointee.told != position else { return }
        catchUp(connection, &outlet)
        place.pointee.told = position
        var cursors: [(room: Text, cursor: VersionVector)] = []
        var subscription = place.pointee.first
        while subscription != Subscription.none {
            let it = subscriptions[subscription]
            if it.pointee.queue == nil {
                cursors.append((name(of: subscription), handed(subscription)))
            }
            subscription = it.pointee.next
            if cursors.count == Self.cursorsAtOnce || subscription == Subscription.none, !cursors.isEmpty {
                outlet.tell(cursors: cursors, to: connection)
                cursors = []
            }
        }
    }

    /// How many rooms' cursors one frame has: a cursor names a few nodes, and at most 256.
    private static var cursorsAtOnce: Int { 32 }

    private mutating func tell(_ notice: DeliveryNotice, _ subscription: UInt32, _ outlet: inout O) {
        outlet.tell(notice, of: name(of: subscription), to: subscriptions[subscription].pointee.connection)
    }

    /// What its room is called.
    func name(of subscription: UInt32) -> Text {
        subscriptions.rooms[subscriptions[subscription].pointee.room].pointee.name
    }

    // MARK: Pages

    /// Has the store asked for the next page that the connection's subscriptions want, if there is room for it.
    mutating func askForPage(_ connection: UInt32, _ outlet: inout O) {
        guard subscriptions.first(of: connection) != Subscription.none else { return }
        let place = subscriptions.place(connection)
        guard !place.pointee.isRead, outlet.takesPage(connection) else { return }
        // From the one behind the last that was asked for, and once around.
        let start =
            place.pointee.lastAsker == Subscription.none
            ? place.pointee.first : subscriptions.following(place.pointee.lastAsker)
        var subscription = start
        repeat {
            let it = subscriptions[subscription]
            if let queue = it.pointee.queue, let question = queue.feed.ask(asks + 1, at: position) {
                asks += 1
                place.pointee.isRead = true
                place.pointee.asker = subscription
                place.pointee.lastAsker = subscription
                outlet.ask(question, of: name(of: subscription), for: connection)
                return
            }
            subscription = subscriptions.following(subscription)
        } while subscription != start
    }

    /// What a page shows, and what it says of how far the subscription is with it.
    mutating func take(
        page: Feed.Page, _ ask: UInt64, _ frames: FrameBatch, for connection: UInt32, to outlet: inout O
    ) {
        guard let asker = answered(connection) else {
            outlet.mark(connection)  // others of its subscriptions may wait for their turn
            return
        }
        let subscription = planted.has(.feedsMixed) ? subscriptions.following(asker) : asker
        guard let queue = subscriptions[subscription].pointee.queue else {
            outlet.mark(connection)
            return
        }
        let decision = queue.feed.read(page, ask, planted: planted)
        outlet.note(.page(queue.feed, page, decision), of: name(of: subscription), connection)
        switch decision {
        case .ignore: break
        case .lost:
            guard Subscriptions.generation(of: subscriptions[subscription].pointee.room) == .second else {
                forget(connection)
                outlet.end(connection, .historyIsGone)
                return
            }
            // The connection's other rooms go on.
            let it = subscriptions[subscription]
            counts.overtaken += 1
            tell(.historyIsGone(stay: it.pointee.stay), subscription, &outlet)
            subscriptions.remove(subscription)
        case .more(let held):
            show(frames, subscription, queue, &outlet)
            queue.keep(held)
        case .level(let held):
            show(frames, subscription, queue, &outlet)
            if queue.feed.purpose == .resume {
                subscriptions[subscription].pointee.standing.resumed(to: queue.feed.cursor)
                outlet.note(.level(queue.feed), of: name(of: subscription), connection)
                tell(
                    .resumed(
                        recovered: queue.feed.recovered, cursor: queue.feed.cursor,
                        documents: queue.feed.changedDocuments, ref: queue.ref), subscription, &outlet)
            }
            for number in held.dropFirst(planted.has(.heldFrameDropped) ? 1 : 0) {
                outlet.append(queue[number], .live(queue.dots[number]), to: connection)
            }
            queue.keep([])
        }
        outlet.mark(connection)
    }

    private mutating func show(_ frames: FrameBatch, _ subscription: UInt32, _ queue: FeedQueue, _ outlet: inout O) {
        let it = subscriptions[subscription]
        let isResuming = queue.feed.purpose == .resume
        for record in frames.records {
            outlet.append(
                frames.bytes(of: record), isResuming ? .page : .fed(record.dot), to: it.pointee.connection)
        }
        if !isResuming {
            subscriptions.rooms[it.pointee.room].pointee.unshown.feed(
                frames.records.lazy.map(\.dot), to: subscription)
        }
        counts.fed += frames.records.count
    }

    /// The store could not be read: the page is to be asked for again after a while.
    /// - Returns: whether anybody waits for it still.
    mutating func pageFailed(_ ask: UInt64, for connection: UInt32) -> Bool {
        guard let subscription = answered(connection), let queue = subscriptions[subscription].pointee.queue else {
            return false
        }
        if case .more(let held) = queue.feed.readFailed(ask) { queue.keep(held) }
        return true
    }

    /// No page is being read for the connection any more. Gives the subscription that it was read for.
    private mutating func answered(_ connection: UInt32) -> UInt32? {
        let place = subscriptions.place(connection)
        place.pointee.isRead = false
        let asker = exchange(&place.pointee.asker, for: Subscription.none)
        return asker == Subscription.none ? nil : asker
    }
}

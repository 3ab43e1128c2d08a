import ConvergeCRDT
import ConvergeGossip
import ConvergeWire

/// The way out: takes what the core hands out, and says which bytes go to which connection.
///
/// A core of its own, run by the client loops and by the simulation alike: it knows no socket, no clock and no thread, and
/// whoever has those is its `Outlet`. A turn: `beginTurn`, `deliver` and pages in any number, `flush`. What is handed out for a
/// room in one turn is gathered once, and each live subscription takes the run as a whole; what one does not take makes it a
/// slow one, which is fed from the store (`Delivery+Feeds.swift`). Replies stand behind what their session has coming of its
/// rooms, as the core emitted them.
struct Delivery<O: Outlet & ~Copyable>: ~Copyable {
    /// The most bytes of live frames that are held for a subscription while a page is read for it.
    let heldBytes: Int
    let planted: PlantedFaults

    var subscriptions = Subscriptions()
    /// This turn's frames, by room; and the number of their bytes.
    private var turns = Slab<TurnFrames> { TurnFrames() }
    private var turnsUsed = 0
    private(set) var turnBytes = 0
    /// The number of this turn.
    private(set) var turn: UInt32 = 1
    /// What has been handed out of all logs; and how far that was when the turn began.
    private(set) var position = VersionVector()
    private var turnStart = VersionVector()
    /// What had been handed out before the store went back; empty where that has come again.
    private(set) var takenBack = VersionVector()
    /// The end of this node's own log; nil while its store was never open.
    private(set) var own: Dot?
    /// How many pages have been asked for, so that a late one is told from the one that is waited for.
    var asks: UInt64 = 0
    var counts = DeliveryCounts()

    init(heldBytes: Int, planted: PlantedFaults = []) {
        self.heldBytes = heldBytes
        self.planted = planted
    }

    mutating func beginTurn() {
        turn &+= 1
        turnStart = position
        if !takenBack.isEmpty, position.covers(takenBack) { takenBack = VersionVector() }
    }

    /// What has been handed out is what there was when the turn began: it was there before everybody.
    mutating func beginTurnHere() { turnStart.merge(position) }

    /// Of what has been handed out the store has no more than this.
    mutating func goBack(to left: VersionVector) {
        takenBack.merge(position)
        position = position.limited(to: left)
        turnStart = turnStart.limited(to: left)
    }

    // MARK: What the core hands out

    mutating func deliver(_ batch: FrameBatch, to outlet: inout O) {
        position.merge(batch.position)
        if let own = batch.own { self.own = own }
        for record in batch.records {
            switch record.target {
            case .room(let room):
                for generation in ProtocolGeneration.allCases {
                    let audience = Subscriptions.audience(of: room, generation)
                    let bytes = batch.bytes(of: record, for: generation)
                    if isOccupied(audience), !bytes.isEmpty { gather(bytes, record.dot, audience, &outlet) }
                }
                if let dot = record.dot { position.advance(to: dot) }
            case .unshown(let room, let twin):
                guard let dot = record.dot else { continue }
                for generation in ProtocolGeneration.allCases {
                    let audience = Subscriptions.audience(of: room, generation)
                    if isOccupied(audience) { noteUnshown(dot, twin, audience) }
                }
                position.advance(to: dot)
            case .session(let session):
                if let connection = outlet.connection(of: session) {
                    reply(batch.bytes(of: record), connection, &outlet)
                }
            case .enter(let session, let room, let name):
                guard let connection = outlet.connection(of: session) else { continue }
                let audience = Subscriptions.audience(of: room, .first)
                move(connection, audience, name, &outlet)
                if !record.range.isEmpty { reply(batch.bytes(of: record), connection, &outlet) }
                if let cursor = outlet.takeCursor(of: connection),
                    let subscription = subscriptions.find(connection, in: audience)
                {
                    resume(subscription, from: cursor, ref: nil, &outlet)
                }
            case .welcome(let session):
                guard let connection = outlet.connection(of: session), outlet.letIn(connection) else { continue }
                reply(batch.bytes(of: record), connection, &outlet)
            case .subscribe(let session, let request):
                guard let connection = outlet.connection(of: session), outlet.letIn(connection) else { continue }
                subscribe(connection, request, &outlet)
            case .unsubscribe(let session, let room):
                guard let connection = outlet.connection(of: session) else { continue }
                reply(batch.bytes(of: record), connection, &outlet)
                if let subscription = subscriptions.find(connection, in: Subscriptions.audience(of: room, .second)) {
                    subscriptions.remove(subscription)
                }
            case .begin: beginAll(&outlet)
            case .setBack: setBack(to: batch.position, &outlet)
            case .catchUp(let room):
                for generation in ProtocolGeneration.allCases {
                    feedAll(Subscriptions.audience(of: room, generation), &outlet)
                }
            case .leave(let session):
                guard let connection = outlet.connection(of: session) else { continue }
                remove(connection, &outlet)
                outlet.end(connection, .left)
            case .resume(let session, let request):
                // In order with its moves, so it is in that room unless it is on its way out.
                guard let connection = outlet.connection(of: session),
                    let subscription = subscriptions.find(
                        connection, in: Subscriptions.audience(of: request.room, .first))
                else { continue }
                if let cursor = request.cursor {
                    resume(subscription, from: cursor, ref: request.ref, &outlet)
                } else {
                    tellStanding(subscription, .joined(ref: request.ref), &outlet)
                }
            }
        }
    }

    /// Whether anybody here is in the audience.
    private func isOccupied(_ room: UInt32) -> Bool {
        subscriptions.isKnown(room) && !subscriptions.rooms[room].pointee.isEmpty
    }

    private mutating func reply(_ bytes: UnsafeRawBufferPointer, _ connection: UInt32, _ outlet: inout O) {
        catchUp(connection, &outlet)
        outlet.append(bytes, .reply, to: connection)
    }

    /// The room is handed an event that it is not shown.
    private mutating func noteUnshown(_ dot: Dot, _ twin: Dot?, _ room: UInt32) {
        let there = subscriptions.rooms[room]
        there.pointee.unshown.note(dot, twin: twin)
        let frames = turns[openFrames(of: room)]
        frames.pointee.passedOver.append((frames.pointee.bytes.count, dot))
        guard !planted.has(.fedEventForgotten) else { return }
        // A page may have been faster than what the core hands out.
        for member in there.pointee.slow {
            let subscription = subscriptions[member.subscription]
            guard subscription.pointee.queue?.feed.hasFed(dot) == true else { continue }
            there.pointee.unshown.feed(CollectionOfOne(dot), to: member.subscription)
        }
    }

    private mutating func gather(_ bytes: UnsafeRawBufferPointer, _ dot: Dot?, _ room: UInt32, _ outlet: inout O) {
        let there = subscriptions.rooms[room]
        if !there.pointee.slow.isEmpty { offer(bytes, dot, toSlowMembersOf: room, &outlet) }
        let frames = turns[openFrames(of: room)]
        // Who has been shown what comes back passes it over, behind what the turn has for it before.
        let comesBack = dot.flatMap { takenBack.covers($0) ? $0 : nil }
        if let comesBack {
            forMembers(of: room, shown: comesBack) { delivery, subscription in
                delivery.catchUp(subscription: subscription, &outlet)
            }
        }
        frames.pointee.bytes.append(bytes)
        frames.pointee.frames.append((frames.pointee.bytes.count, dot))
        turnBytes += bytes.count
        if let comesBack {
            let end = frames.pointee.bytes.count
            forMembers(of: room, shown: comesBack) { delivery, subscription in
                delivery.setAhead(subscription, to: end)
            }
        }
    }

    /// The room's frames of this turn.
    private mutating func openFrames(of room: UInt32) -> UInt32 {
        let there = subscriptions.rooms[room]
        if there.pointee.frames < 0 {
            turns.grow(to: turnsUsed + 1)
            turns[UInt32(turnsUsed)].pointee.room = room
            there.pointee.frames = Int32(turnsUsed)
            turnsUsed += 1
        }
        return UInt32(there.pointee.frames)
    }

    // MARK: Moves

    /// Puts the session into the room, and into no other: what is gathered for the room from here on is for it.
    private mutating func move(_ connection: UInt32, _ room: UInt32, _ name: Text, _ outlet: inout O) {
        guard outlet.letIn(connection), subscriptions.find(connection, in: room) == nil else { return }
        remove(connection, &outlet)
        _ = enter(connection, room, name, &outlet)
    }

    /// Adds a subscription, which is live.
    private mutating func enter(_ connection: UInt32, _ room: UInt32, _ name: Text, _ outlet: inout O) -> UInt32 {
        let there = subscriptions.open(room)
        if there.pointee.isEmpty {
            there.pointee.name = name
            there.pointee.since = position
            there.pointee.unshown = UnshownEvents()
        }
        let subscription = subscriptions.add(connection, to: room, at: position)
        goLive(subscription)
        outlet.note(.entered(at: position), of: name, connection)
        return subscription
    }

    /// Shows the session the room beside its others, from here on or from its cursor on; and tells it where it stands.
    private mutating func subscribe(_ connection: UInt32, _ request: SubscribeRequest, _ outlet: inout O) {
        let audience = Subscriptions.audience(of: request.room, .second)
        let subscription =
            subscriptions.find(connection, in: audience) ?? enter(connection, audience, request.name, &outlet)
        subscriptions[subscription].pointee.stay = request.stay
        tellStanding(subscription, .subscribed(count: request.count, ref: request.ref), &outlet)
        if let cursor = request.cursor { resume(subscription, from: cursor, ref: request.ref, &outlet) }
    }

    /// Makes it a live one of its room, from the present end of the room's frames on.
    mutating func goLive(_ subscription: UInt32) {
        subscriptions.link(live: subscription)
        let room = subscriptions.rooms[subscriptions[subscription].pointee.room]
        let offset = room.pointee.frames < 0 ? 0 : turns[UInt32(room.pointee.frames)].pointee.bytes.count
        setAhead(subscription, to: offset)
    }

    private mutating func setAhead(_ subscription: UInt32, to offset: Int) {
        subscriptions[subscription].pointee.turn = turn
        subscriptions[subscription].pointee.turnOffset = UInt32(offset)
        if offset > 0 { subscriptions.rooms[subscriptions[subscription].pointee.room].pointee.aheadTurn = turn }
    }

    /// Makes it one that is fed.
    mutating func goSlow(_ subscription: UInt32, _ queue: FeedQueue) {
        subscriptions.unlink(subscription)
        subscriptions.link(subscription, fedBy: queue)
    }

    /// Ends all subscriptions of the connection, behind what its rooms have gathered for it.
    mutating func remove(_ connection: UInt32, _ outlet: inout O) {
        catchUp(connection, &outlet)
        endAll(connection)
    }

    /// The connection is gone, or is sent nothing any more: its number may be used for another.
    mutating func forget(_ connection: UInt32) {
        endAll(connection)
        subscriptions.place(connection).pointee = Place()
    }

    private mutating func endAll(_ connection: UInt32) {
        while case let subscription = subscriptions.first(of: connection), subscription != Subscription.none {
            subscriptions.remove(subscription)
        }
    }

    // MARK: Sending

    /// Has the connection take the frames that its rooms have gathered so far in this turn: what is sent to it next stands
    /// behind them.
    mutating func catchUp(_ connection: UInt32, _ outlet: inout O) {
        guard turnsUsed > 0 else { return }
        var subscription = subscriptions.first(of: connection)
        while subscription != Subscription.none {
            let next = subscriptions[subscription].pointee.next
            if subscriptions[subscription].pointee.queue == nil { catchUp(subscription: subscription, &outlet) }
            subscription = next
        }
    }

    mutating func catchUp(subscription: UInt32, _ outlet: inout O) {
        let index = subscriptions.rooms[subscriptions[subscription].pointee.room].pointee.frames
        guard index >= 0 else { return }
        let frames = turns[UInt32(index)]
        let offset = unseenOffset(subscription)
        guard offset < frames.pointee.bytes.count else { return }
        let connection = subscriptions[subscription].pointee.connection
        let taken = outlet.take(frames.pointee, from: offset, .within, connection)
        if taken < frames.pointee.bytes.count {
            takeOffLive(subscription, frames, from: taken, &outlet)
        } else {
            setAhead(subscription, to: taken)
        }
    }

    private func unseenOffset(_ subscription: UInt32) -> Int {
        let it = subscriptions[subscription]
        return it.pointee.turn == turn ? Int(it.pointee.turnOffset) : 0
    }

    /// Sends what the turn has gathered.
    mutating func flush(to outlet: inout O) {
        guard turnsUsed > 0 else { return }
        for index in 0..<UInt32(turnsUsed) { flush(turns[index], &outlet) }
        turnsUsed = 0
        turnBytes = 0
    }

    private mutating func flush(_ frames: UnsafeMutablePointer<TurnFrames>, _ outlet: inout O) {
        let room = subscriptions.rooms[frames.pointee.room]
        let end = frames.pointee.bytes.count
        let moment = turnsUsed == 1 ? RunMoment.endOfAll : .end
        let someAreAhead = room.pointee.aheadTurn == turn
        // Downwards, because taking one off the live stream moves the last one into its place.
        var index = end == 0 ? 0 : room.pointee.live.count
        while index > 0 {
            index -= 1
            let member = room.pointee.live[index]
            let offset = someAreAhead ? unseenOffset(member.subscription) : 0
            guard offset < end else { continue }
            let taken = outlet.take(frames.pointee, from: offset, moment, member.connection)
            if taken < end { takeOffLive(member.subscription, frames, from: taken, &outlet) }
        }
        room.pointee.frames = -1
        frames.pointee.bytes.removeAll(keeping: 256 << 10)
        frames.pointee.frames.removeAll(keepingCapacity: frames.pointee.frames.capacity < 4_096)
        frames.pointee.passedOver = []
    }

    /// Takes a subscription off the live stream; the frames of its room from `offset` on are what it has not been sent.
    private mutating func takeOffLive(
        _ subscription: UInt32, _ frames: UnsafeMutablePointer<TurnFrames>, from offset: Int, _ outlet: inout O
    ) {
        let it = subscriptions[subscription]
        let sent = frames.pointee.frames.lazy.filter { $0.end <= offset }.compactMap(\.dot)
        let passedOver = frames.pointee.passedOver.lazy.filter { $0.end <= offset }.map(\.dot)
        let cursor = it.pointee.standing.offLive(
            turnStart: planted.has(.standingTakenLate) ? position : turnStart,
            since: subscriptions.rooms[it.pointee.room].pointee.since,
            sent: Array(sent) + Array(passedOver), planted: planted)
        goSlow(subscription, FeedQueue(Feed(catchingUpFrom: cursor)))
        counts.takenOff += 1
        outlet.note(.offLive, of: name(of: subscription), it.pointee.connection)
        outlet.mark(it.pointee.connection)
    }
}

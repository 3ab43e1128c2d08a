import ConvergeCRDT
import ConvergeWire

/// Who is subscribed to which room, and in which way. Moves are O(1), but for looking one up among a connection's own.
///
/// The invariant: a subscription stands in exactly one list of its room, at `index`: in `slow` where it has a queue, in
/// `live` where it has none; and in its connection's chain.
struct Subscriptions: ~Copyable {
    private var all = Slab<Subscription> { Subscription() }
    private var free: [UInt32] = []
    private var places = Slab<Place> { Place() }
    private(set) var rooms = Slab<DeliveryRoom> { DeliveryRoom() }

    /// The number of those who are in a room of the core's and speak this generation of the protocol.
    @inline(__always)
    static func audience(of room: UInt32, _ generation: ProtocolGeneration) -> UInt32 {
        room << 1 | UInt32(generation.rawValue)
    }

    static func generation(of audience: UInt32) -> ProtocolGeneration { audience & 1 == 0 ? .first : .second }

    @inline(__always)
    subscript(subscription: UInt32) -> UnsafeMutablePointer<Subscription> { all[subscription] }

    /// What is kept of the connection. A place is made when it is first asked for.
    mutating func place(_ connection: UInt32) -> UnsafeMutablePointer<Place> {
        places.grow(to: Int(connection) + 1)
        return places[connection]
    }

    /// The connection's first subscription, `Subscription.none` for none.
    func first(of connection: UInt32) -> UInt32 {
        connection < places.count ? places[connection].pointee.first : Subscription.none
    }

    /// The connection's subscription to the room. O(its subscriptions).
    func find(_ connection: UInt32, in room: UInt32) -> UInt32? {
        var subscription = first(of: connection)
        while subscription != Subscription.none {
            if all[subscription].pointee.room == room { return subscription }
            subscription = all[subscription].pointee.next
        }
        return nil
    }

    /// The connection's next subscription, the first behind the last.
    func following(_ subscription: UInt32) -> UInt32 {
        let next = all[subscription].pointee.next
        return next == Subscription.none ? first(of: all[subscription].pointee.connection) : next
    }

    func isKnown(_ room: UInt32) -> Bool { room < rooms.count }

    /// The room, made where it is new. Nobody being in it is for the caller to see to.
    mutating func open(_ room: UInt32) -> UnsafeMutablePointer<DeliveryRoom> {
        rooms.grow(to: Int(room) + 1)
        return rooms[room]
    }

    // MARK: Moves

    /// A new subscription, which is in no list yet.
    mutating func add(_ connection: UInt32, to room: UInt32, at position: VersionVector) -> UInt32 {
        let subscription: UInt32
        if let reused = free.popLast() {
            subscription = reused
        } else {
            subscription = UInt32(all.count)
            all.grow(to: all.count + 1)
        }
        let place = place(connection)
        let new = all[subscription]
        new.pointee.connection = connection
        new.pointee.room = room
        new.pointee.standing = Standing(at: position)
        new.pointee.next = place.pointee.first
        if place.pointee.first != Subscription.none { all[place.pointee.first].pointee.previous = subscription }
        place.pointee.first = subscription
        return subscription
    }

    /// Puts it among the live ones of its room.
    mutating func link(live subscription: UInt32) {
        let room = rooms[all[subscription].pointee.room]
        all[subscription].pointee.queue = nil
        all[subscription].pointee.index = UInt32(room.pointee.live.count)
        room.pointee.live.append(.init(subscription: subscription, connection: all[subscription].pointee.connection))
    }

    /// Puts it among those of its room that are fed.
    mutating func link(_ subscription: UInt32, fedBy queue: FeedQueue) {
        let room = rooms[all[subscription].pointee.room]
        all[subscription].pointee.queue = queue
        all[subscription].pointee.index = UInt32(room.pointee.slow.count)
        room.pointee.slow.append(.init(subscription: subscription, connection: all[subscription].pointee.connection))
    }

    /// Takes it off its room's list: the last takes its place.
    mutating func unlink(_ subscription: UInt32) {
        let room = rooms[all[subscription].pointee.room]
        let at = Int(all[subscription].pointee.index)
        if all[subscription].pointee.queue == nil {
            let last = room.pointee.live.removeLast()
            guard last.subscription != subscription else { return }
            room.pointee.live[at] = last
            all[last.subscription].pointee.index = UInt32(at)
        } else {
            let last = room.pointee.slow.removeLast()
            guard last.subscription != subscription else { return }
            room.pointee.slow[at] = last
            all[last.subscription].pointee.index = UInt32(at)
        }
    }

    /// Ends it altogether.
    mutating func remove(_ subscription: UInt32) {
        unlink(subscription)
        let old = all[subscription]
        let room = rooms[old.pointee.room]
        room.pointee.unshown.forget(subscription)
        if room.pointee.isEmpty {
            // A room that was full once does not keep its memory.
            if room.pointee.live.capacity > 16 { room.pointee.live = [] }
            if room.pointee.slow.capacity > 16 { room.pointee.slow = [] }
        }
        let place = place(old.pointee.connection)
        if place.pointee.asker == subscription { place.pointee.asker = Subscription.none }
        if place.pointee.lastAsker == subscription { place.pointee.lastAsker = old.pointee.previous }
        if old.pointee.previous == Subscription.none {
            place.pointee.first = old.pointee.next
        } else {
            all[old.pointee.previous].pointee.next = old.pointee.next
        }
        if old.pointee.next != Subscription.none { all[old.pointee.next].pointee.previous = old.pointee.previous }
        old.pointee = Subscription()
        free.append(subscription)
    }
}

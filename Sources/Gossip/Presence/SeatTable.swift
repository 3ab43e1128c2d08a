import ConvergeCRDT
import ConvergeWire

// Which user sits in which room, by whose account: the table behind presence.
//
// A place is a (room, user) with a seat on at least one node; who has a seat there are its hosts, one an owner. A place is
// there (somebody would say that the user is in the room) as long as one of its hosts' owners is shown.
//
// Places, rooms and owners are slots in arrays, and each owner and each room lists its places; so everything that is
// walked is an array, in an order that follows from the events alone. Invariants: a place stands once in its room's list,
// and once in the list of each owner that hosts it, at the index that place or host remembers; `present` counts the
// places of a room that are there.

struct SeatTable: Sendable {
    /// A place that began or ceased to be there.
    struct Move: Sendable {
        var room: Text
        var user: Text
        var displayName: Text
        var isThere: Bool
    }

    private struct Key: Hashable {
        var room: UInt32
        var user: Text
    }

    private struct Room {
        var name: Text
        var places: [UInt32] = []
        var present = 0
    }

    private struct Place {
        var room: UInt32
        var indexInRoom: UInt32
        var user: Text
        var hosts = SeatHosts()
    }

    private struct Owner {
        /// Nil for this node, until it has a name.
        var replica: ReplicaID?
        var isShown: Bool
        var places: [UInt32] = []
    }

    private var placeSlots: [Key: UInt32] = [:]
    private var places: [Place?] = []
    private var freePlaces: [UInt32] = []
    private var roomSlots: [Text: UInt32] = [:]
    private var rooms: [Room?] = []
    private var freeRooms: [UInt32] = []
    private var owners: [Owner?] = []
    private var freeOwners: [UInt32] = []

    /// (room, user) pairs that are there.
    private(set) var presentCount = 0
    /// Rooms with someone in them.
    private(set) var presentRooms = 0

    // MARK: Owners

    mutating func addOwner(_ replica: ReplicaID?, isShown: Bool) -> UInt32 {
        let owner = Owner(replica: replica, isShown: isShown)
        if let slot = freeOwners.popLast() {
            owners[Int(slot)] = owner
            return slot
        }
        owners.append(owner)
        return UInt32(owners.count - 1)
    }

    /// The owner must have no seats.
    mutating func removeOwner(_ slot: UInt32) {
        owners[Int(slot)] = nil
        freeOwners.append(slot)
    }

    mutating func rename(_ slot: UInt32, to replica: ReplicaID?) { owners[Int(slot)]?.replica = replica }

    func seatCount(of slot: UInt32) -> Int { owners[Int(slot)]?.places.count ?? 0 }
    func isShown(_ slot: UInt32) -> Bool { owners[Int(slot)]?.isShown ?? false }

    /// All seats of the owner, in an order of no meaning, but the same wherever the same happened.
    func forEachSeat(of slot: UInt32, _ body: (Seat) -> Void) {
        for id in owners[Int(slot)]?.places ?? [] {
            guard let place = places[Int(id)], let host = place.hosts[slot] else { continue }
            body(
                Seat(
                    room: name(ofRoom: place.room), user: place.user, displayName: host.displayName,
                    sessions: host.sessions))
        }
    }

    /// Shows or hides all that an owner says. O(its seats), and sorting the moves.
    mutating func setShown(_ shown: Bool, _ slot: UInt32) -> [Move] {
        guard let owner = owners[Int(slot)], owner.isShown != shown else { return [] }
        var moves: [Move] = []
        owners[Int(slot)]?.isShown = false
        for id in owner.places where !isThere(id) {
            if let move = move(id, isThere: shown, named: slot) { moves.append(move) }
        }
        owners[Int(slot)]?.isShown = shown
        return sorted(moves)
    }

    // MARK: Seats

    func seat(room: Text, user: Text, of slot: UInt32) -> (displayName: Text, sessions: UInt32)? {
        guard let id = find(room, user), let host = places[Int(id)]?.hosts[slot] else { return nil }
        return (host.displayName, host.sessions)
    }

    /// Sets what the owner says of one place; no sessions: it has no seat there any more. O(1) and the place's hosts.
    mutating func set(_ seat: Seat, of slot: UInt32) -> Move? {
        if seat.sessions == 0 {
            guard let id = find(seat.room, seat.user) else { return nil }
            return vacate(id, of: slot)
        }
        let id = find(seat.room, seat.user) ?? makePlace(seat.room, seat.user)
        if places[Int(id)]!.hosts.update(slot, sessions: seat.sessions, displayName: seat.displayName) { return nil }
        return occupy(id, seat, of: slot, index: owners[Int(slot)]!.places.count)
    }

    /// Puts `seats` in the place of all that the owner said: one step, in which a user who stays does not move. O(both).
    /// Of two seats for one place the later one counts. `keepsOld` is the mistake of not clearing what is no longer said.
    mutating func replace(_ slot: UInt32, with seats: [Seat], keepsOld: Bool = false) -> [Move] {
        let old = owners[Int(slot)]?.places ?? []
        owners[Int(slot)]?.places = []
        var moves: [Move] = []
        for seat in seats where seat.sessions > 0 {
            let id = find(seat.room, seat.user) ?? makePlace(seat.room, seat.user)
            let index = owners[Int(slot)]!.places.count
            guard places[Int(id)]!.hosts.update(slot, sessions: seat.sessions, displayName: seat.displayName) else {
                if let move = occupy(id, seat, of: slot, index: index) { moves.append(move) }
                continue
            }
            if isListed(id, of: slot) { continue }
            owners[Int(slot)]!.places.append(id)
            places[Int(id)]!.hosts.reindex(slot, to: UInt32(index))
        }
        // What is left over has an index into the old list, where the new one has something else or nothing.
        for id in old where !isListed(id, of: slot) {
            places[Int(id)]!.hosts.reindex(slot, to: UInt32(owners[Int(slot)]!.places.count))
            owners[Int(slot)]!.places.append(id)
            if !keepsOld, let move = vacate(id, of: slot) { moves.append(move) }
        }
        return sorted(moves)
    }

    private func isListed(_ id: UInt32, of slot: UInt32) -> Bool {
        guard let list = owners[Int(slot)]?.places, let index = places[Int(id)]?.hosts[slot]?.index else {
            return false
        }
        return index < list.count && list[Int(index)] == id
    }

    private mutating func occupy(_ id: UInt32, _ seat: Seat, of slot: UInt32, index: Int) -> Move? {
        let wasThere = isThere(id)
        places[Int(id)]!.hosts.add(
            SeatHosts.Host(
                owner: slot, index: UInt32(index), sessions: seat.sessions, displayName: seat.displayName))
        owners[Int(slot)]!.places.append(id)
        return wasThere || !isShown(slot) ? nil : move(id, isThere: true, named: slot)
    }

    private mutating func vacate(_ id: UInt32, of slot: UInt32) -> Move? {
        guard let host = places[Int(id)]?.hosts[slot] else { return nil }
        let last = owners[Int(slot)]!.places.removeLast()
        if last != id {
            owners[Int(slot)]!.places[Int(host.index)] = last
            places[Int(last)]!.hosts.reindex(slot, to: host.index)
        }
        let wasThere = isThere(id)
        places[Int(id)]!.hosts.remove(slot)
        var move: Move?
        if wasThere, !isThere(id) {
            move = self.move(id, isThere: false, named: slot)
            move?.displayName = host.displayName
        }
        if places[Int(id)]!.hosts.isEmpty { freePlace(id) }
        return move
    }

    /// Counts the place in or out. The name is what `slot` calls the user: nobody else who is shown has a seat there.
    private mutating func move(_ id: UInt32, isThere: Bool, named slot: UInt32) -> Move? {
        guard let place = places[Int(id)] else { return nil }
        let room = Int(place.room)
        let before = rooms[room]!.present
        rooms[room]!.present += isThere ? 1 : -1
        presentCount += isThere ? 1 : -1
        if isThere, before == 0 { presentRooms += 1 }
        if !isThere, before == 1 { presentRooms -= 1 }
        return Move(
            room: rooms[room]!.name, user: place.user, displayName: place.hosts[slot]?.displayName ?? "",
            isThere: isThere)
    }

    private func sorted(_ moves: [Move]) -> [Move] {
        moves.sorted { $0.room == $1.room ? $0.user < $1.user : $0.room < $1.room }
    }

    // MARK: Places

    private func find(_ room: Text, _ user: Text) -> UInt32? {
        guard let room = roomSlots[room] else { return nil }
        return placeSlots[Key(room: room, user: user)]
    }

    private mutating func makePlace(_ roomName: Text, _ user: Text) -> UInt32 {
        let room = roomSlots[roomName] ?? makeRoom(roomName)
        let place = Place(room: room, indexInRoom: UInt32(rooms[Int(room)]!.places.count), user: user)
        let id: UInt32
        if let free = freePlaces.popLast() {
            id = free
            places[Int(id)] = place
        } else {
            id = UInt32(places.count)
            places.append(place)
        }
        rooms[Int(room)]!.places.append(id)
        placeSlots[Key(room: room, user: user)] = id
        return id
    }

    private mutating func makeRoom(_ name: Text) -> UInt32 {
        let slot: UInt32
        if let free = freeRooms.popLast() {
            slot = free
            rooms[Int(slot)] = Room(name: name)
        } else {
            slot = UInt32(rooms.count)
            rooms.append(Room(name: name))
        }
        roomSlots[name] = slot
        return slot
    }

    private mutating func freePlace(_ id: UInt32) {
        guard let place = places[Int(id)] else { return }
        places[Int(id)] = nil
        freePlaces.append(id)
        placeSlots[Key(room: place.room, user: place.user)] = nil
        let room = Int(place.room)
        let last = rooms[room]!.places.removeLast()
        if last != id {
            rooms[room]!.places[Int(place.indexInRoom)] = last
            places[Int(last)]!.indexInRoom = place.indexInRoom
        }
        if rooms[room]!.places.isEmpty {
            roomSlots[rooms[room]!.name] = nil
            rooms[room] = nil
            freeRooms.append(place.room)
        }
        if placeSlots.isEmpty {  // gives back what many have taken
            (placeSlots, places, freePlaces, roomSlots, rooms, freeRooms) = ([:], [], [], [:], [], [])
        }
    }

    private func isThere(_ id: UInt32) -> Bool {
        places[Int(id)]?.hosts.contains { isShown($0.owner) } ?? false
    }

    private func name(ofRoom slot: UInt32) -> Text { rooms[Int(slot)]?.name ?? "" }
}

// MARK: Who is where

extension SeatTable {
    /// O(1) and the place's hosts.
    func isPresent(room: Text, user: Text) -> Bool { find(room, user).map(isThere) ?? false }

    /// The rooms with someone in them, sorted.
    func presentRoomNames() -> [Text] {
        rooms.compactMap { room in room.flatMap { $0.present > 0 ? $0.name : nil } }.sorted()
    }

    func presentCount(in room: Text) -> Int { roomSlots[room].flatMap { rooms[Int($0)]?.present } ?? 0 }

    /// The first `limit` users who are in the room, sorted: O(users), and O(shown · log users) for what is shown where that is
    /// little.
    func occupants(of room: Text, limit: Int) -> [Presence.Occupant] {
        guard limit > 0, let slot = roomSlots[room], let room = rooms[Int(slot)] else { return [] }
        var least = LeastOf<(user: Text, id: UInt32)>(limit) { $0.user < $1.user }
        for id in room.places where isThere(id) {
            if let place = places[Int(id)] { least.offer((place.user, id)) }
        }
        return least.sorted().compactMap { occupant($0.id) }
    }

    /// The name is what the lowest of the replicas calls the user, so that all nodes show the same one.
    private func occupant(_ id: UInt32) -> Presence.Occupant? {
        guard let place = places[Int(id)] else { return nil }
        var occupant = Presence.Occupant(user: place.user, displayName: "", sessions: 0, nodes: [])
        var lowest: ReplicaID?
        var isNamed = false
        for at in 0..<place.hosts.count {
            let host = place.hosts[at: at]
            guard let owner = owners[Int(host.owner)], owner.isShown else { continue }
            occupant.sessions += Int(host.sessions)
            guard let replica = owner.replica else {
                // Without a name it stands before all that have one.
                occupant.displayName = host.displayName
                isNamed = true
                continue
            }
            occupant.nodes.append(replica)
            if !isNamed, lowest.map({ replica < $0 }) ?? true {
                lowest = replica
                occupant.displayName = host.displayName
            }
        }
        occupant.nodes.sort()
        return occupant
    }
}

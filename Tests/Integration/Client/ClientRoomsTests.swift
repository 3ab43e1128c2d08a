// A client's rooms against a node, of this build or, as it looks, of an older one: how many connections they have, and that
// nobody notices.

import ConvergeClient
import Foundation
import Testing

@Suite struct ClientRoomsTests {
    private static let names = ["dev", "ops", "team/a", "zwei Wörter", "e"]

    /// A client that follows rooms, and is live in all of them.
    private func client(
        _ user: String, at ports: [UInt16], _ configure: (inout ChatClient.Options) -> Void = { _ in }
    ) throws -> (ClientLog, [ChatRoom]) {
        let log = try ClientLog(user, at: ports, configure)
        let rooms = try Self.names.map { try log.client.join($0) }
        try log.waitUntilLive(times: rooms.count)
        return (log, rooms)
    }

    /// Each room has what was said in it, in order, and nothing else.
    private func check(_ log: ClientLog, _ said: [String: [String]]) throws {
        for (room, bodies) in said {
            try log.wait("what was said in \(room)") { _ in log.bodies(in: room).count >= bodies.count }
            try #require(log.bodies(in: room) == bodies)
        }
    }

    private func connections(_ node: TestNode) throws -> Int {
        // The one that asks is not counted.
        try node.metric("sessions")
    }

    @Test func `all rooms are on one connection, each with what is said in it`() async throws {
        try await onOwnThread {
            try withNode { node in
                let (ann, rooms) = try client("ann", at: [node.port])
                let (bob, others) = try client("bob", at: [node.port])
                try #require(try connections(node) == 2)
                var said: [String: [String]] = [:]
                for number in 0..<20 {
                    let place = number % rooms.count
                    let body = "m\(number)"
                    _ = try settle { try await (number % 2 == 0 ? rooms : others)[place].send(body).stored() }
                    said[rooms[place].name, default: []].append(body)
                }
                for log in [ann, bob] { try check(log, said) }
                let members = try settle { try await rooms[1].members() }
                try #require(members.userIDs == ["ann", "bob"] && members.room == rooms[1].name)
                try #require(try settle { try await ann.client.rooms() } == Self.names.sorted())
                // One room is left; the others are as they were.
                others[0].leave()
                try ann.wait("that bob has left") { events in
                    events.contains {
                        if case .presence(let line, joined: false, _) = $0 { line.room == rooms[0].name } else { false }
                    }
                }
                _ = try settle { try await others[1].send("still here").stored() }
                try ann.wait("bob") { _ in ann.bodies(in: rooms[1].name).last == "still here" }
                for log in [ann, bob] { try log.close() }
            }
        }
    }

    @Test func `after a lost connection each room goes on where it was`() async throws {
        try await onOwnThread {
            try withNode { node in
                let relay = try OlderNodeRelay(to: node.port)
                relay.upgrade()
                defer { relay.stop() }
                let (ann, rooms) = try client("ann", at: [relay.port])
                let (bob, others) = try client("bob", at: [node.port])
                var said: [String: [String]] = [:]
                for round in 0..<5 {
                    relay.breakOff()
                    for (place, room) in others.enumerated() {
                        let body = "\(round) in \(place)"
                        _ = try settle { try await room.send(body).stored() }
                        said[room.name, default: []].append(body)
                        // Without a connection, perhaps.
                        if round == 3 { try rooms[place].send("mine in \(place)") }
                    }
                    if round == 3 {
                        try ann.wait("its own stored") { _ in ann.client.unsentCount == 0 }
                        for (place, room) in others.enumerated() {
                            try bob.wait("ann's") { _ in bob.bodies(in: room.name).last == "mine in \(place)" }
                            said[room.name]?.append("mine in \(place)")
                        }
                    }
                    try check(ann, said)
                }
                try #require(!ann.all.contains { if case .resumed(false, _, _) = $0.event { true } else { false } })
                try #require(relay.count == 1)
                for log in [ann, bob] { try log.close() }
            }
        }
    }

    @Test func `with a node of an older build each room has a connection, and is on it as it was`() async throws {
        try await onOwnThread {
            try withNode { node in
                let watcher = try node.client("watcher")
                let relay = try OlderNodeRelay(to: node.port)
                defer { relay.stop() }
                let (ann, rooms) = try client("ann", at: [relay.port])
                try #require(relay.count == rooms.count)
                // Nobody is asked twice, and nobody comes into a room by mistake.
                try #require(relay.requests.count == rooms.count)
                let (bob, others) = try client("bob", at: [node.port])
                var said: [String: [String]] = [:]
                for (place, room) in others.enumerated() {
                    _ = try settle { try await room.send("to \(place)").stored() }
                    _ = try settle { try await rooms[place].send("back to \(place)").stored() }
                    said[room.name] = ["to \(place)", "back to \(place)"]
                }
                for log in [ann, bob] { try check(log, said) }
                let tags = rooms[0].set("tags")
                _ = try settle { try await tags.add("x").stored() }
                try ann.wait("a document") { _ in tags.elements == ["x"] }

                // The node is upgraded: its clients come together by themselves.
                relay.upgrade()
                relay.breakOff()
                try node.wait("one connection") { relay.count == 1 }
                try ann.waitUntilLive(times: 2 * rooms.count)
                for (place, room) in others.enumerated() {
                    _ = try settle { try await room.send("again to \(place)").stored() }
                    said[room.name]?.append("again to \(place)")
                }
                try check(ann, said)
                for log in [ann, bob] { try log.close() }
                watcher.socket.close()
                let lobby = try node.client("late")
                try lobby.send(#"{"type":"history","ref":"h"}"#)
                let history = try lobby.next("history")
                try #require(history.frames("history")?.contains { $0.user == "ann" } != true)
            }
        }
    }

    @Test func `rooms beyond a node's limit have a further connection`() async throws {
        try await onOwnThread {
            try withNode {
                $0.maxSubscriptions = 2
            } _: { node in
                let (ann, rooms) = try client("ann", at: [node.port])
                try #require(try connections(node) == 3)
                for (place, room) in rooms.enumerated() {
                    _ = try settle { try await room.send("to \(place)").stored() }
                    try ann.wait("its own") { _ in ann.bodies(in: room.name) == ["to \(place)"] }
                }
                try ann.close()
            }
        }
    }

    @Test func `lists that come in pages are whole`() async throws {
        try await onOwnThread {
            try withNode { node in
                // More than are given at once.
                let (ann, _) = try client("ann", at: [node.port])
                let count = 1_050
                let crowd = try client("crowd", at: [node.port]) { $0.maxRooms = 2_000 }
                for number in 0..<count - Self.names.count { _ = try crowd.0.client.join("room \(number)") }
                try crowd.0.waitUntilLive(times: count)
                let rooms = try settle { try await ann.client.rooms() }
                try #require(rooms.count == count && Set(rooms).count == count)
                for log in [ann, crowd.0] { try log.close() }
            }
        }
    }

    @Test func `a map is the same for all, through any number of reconnects`() async throws {
        try await onOwnThread {
            try withNode { node in
                let relay = try OlderNodeRelay(to: node.port)
                relay.upgrade()
                defer { relay.stop() }
                let (ann, bob) = (try ClientLog("ann", at: [relay.port]), try ClientLog("bob", at: [node.port]))
                let (mine, theirs) = (
                    try ann.client.join("dev").map("config"), try bob.client.join("dev").map("config")
                )
                for log in [ann, bob] { try log.waitUntilLive() }
                _ = try settle { try await mine.set("colour", to: "red").stored() }
                _ = try settle { try await theirs.set("size", to: .json(#"{"w":3}"#)).stored() }
                let both = [MapField("colour", .text("red")), MapField("size", .json(#"{"w":3}"#))]
                for map in [mine, theirs] { try ann.wait("both fields") { _ in map.fields == both } }
                relay.breakOff()
                _ = try settle { try await theirs.remove("colour").stored() }
                _ = try settle { try await theirs.set("", to: .json("[null]")).stored() }
                let rest = [MapField("", .json("[null]")), MapField("size", .json(#"{"w":3}"#))]
                for map in [mine, theirs] { try ann.wait("what is left") { _ in map.fields == rest } }
                try #require(mine["size"] == .json(#"{"w":3}"#) && mine["colour"] == nil)
                for value in ["{", "null", #""text""#] {
                    try #require(throws: SendFailure.self) { try mine.set("x", to: .json(value)) }
                }
                for log in [ann, bob] { try log.close() }
            }
        }
    }
}

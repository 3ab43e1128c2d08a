// Real nodes on real disks, one cluster: what the protocol says of "the room" holds whichever node one asks.

import Testing

/// All suites with clusters. scripts/test.sh runs them by themselves: several processes a test keep a machine busy.
@Suite struct ClusterTests {}

/// Talking to a room from several nodes at once.
enum Talk {
    /// Sends bodies through one client, all at once.
    static func send(_ bodies: [String], by client: ChatSocket, room: String? = nil) throws {
        try client.socket.send(bodies.flatMap { ChatSocket.frame(#"{"body":"\#($0)"}"#) })
    }

    /// Reads until so many messages have been shown.
    static func messages(_ count: Int, shownTo client: ChatSocket) throws -> [Shown] {
        var all: [Shown] = []
        while all.count < count {
            let frame = try client.next("message")
            all.append(Shown(frame))
        }
        return all
    }

    /// Writes so many messages through a client, waiting for every acknowledgement; their ids.
    @discardableResult
    static func write(_ count: Int, _ prefix: String, by client: ChatSocket) throws -> [String] {
        var ids: [String] = []
        var next = 0
        while ids.count < count {
            let window = min(count, ids.count + 200)
            if next < window {
                try client.socket.send(
                    (next..<window).flatMap { ChatSocket.frame(#"{"ref":"w","body":"\#(prefix)\#($0)"}"#) })
                next = window
            }
            let frame = try client.next()
            if frame.type == "error" { throw TestFailure("\(frame)") }
            if frame.type == "ack" { ids.append(frame.id) }
        }
        return ids
    }
}

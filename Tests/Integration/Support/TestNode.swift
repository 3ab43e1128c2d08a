// A node inside the test's process, on a free port of 127.0.0.1, and its clients.

import ConvergeNode
import ConvergeStorage
import ConvergeTransport
import Foundation

final class TestNode {
    let server: ConvergeServer
    let port: UInt16
    /// How its clients connect; nil: without TLS.
    var tls: TLSContext?
    private var clients: [ChatSocket] = []

    fileprivate init(_ store: any Store, _ options: ServerOptions) throws {
        server = ConvergeServer(store: store, options: options)
        try server.start()
        guard let port = server.port else { throw TestFailure("no port") }
        self.port = port
    }

    fileprivate func end() {
        for client in clients { client.socket.close() }
        server.stop()
    }

    /// Connects, and reads nothing yet.
    func open(_ target: String, headers: [String] = [], receiveBuffer: Int32? = nil) throws -> ChatSocket {
        let client = try ChatSocket(
            port: port, target: target, headers: headers, receiveBuffer: receiveBuffer, tls: tls)
        clients.append(client)
        return client
    }

    /// Connects with a token in the query, and reads nothing yet.
    func open(token: String, room: String? = nil, receiveBuffer: Int32? = nil) throws -> ChatSocket {
        let query = room.map { "room=" + $0.percentEncoded + "&" } ?? ""
        return try open("/ws?\(query)token=\(token.percentEncoded)", receiveBuffer: receiveBuffer)
    }

    /// A client that has entered its room: `welcome` is read, and its own `joined` where there is to be one.
    func client(
        _ user: String, name: String? = nil, room: String = "lobby", joins: Bool = true, receiveBuffer: Int32? = nil
    ) throws -> ChatSocket {
        let client = try open(token: Tokens.of(user, name: name), room: room, receiveBuffer: receiveBuffer)
        _ = try client.next("welcome")
        if joins { _ = try client.next("system") { $0.user == user && $0.body.hasSuffix(" joined") } }
        return client
    }

    /// Waits until the condition holds, asking again and again.
    func wait(_ what: String, until holds: () throws -> Bool) throws {
        let deadline = Deadline()
        while try !holds() {
            if deadline.hasPassed { throw TestFailure("not in time: \(what)") }
            usleep(2_000)
        }
    }

    func waitUntilReady() throws { try wait("ready") { server.isReady } }

    /// One of the node's figures.
    func metric(_ name: String) throws -> Int {
        let text = try HTTPReply.get("/metrics", port: port, tls: tls).body
        for line in text.split(separator: "\n") where line.hasPrefix("converge_" + name + " ") {
            if let value = Int(line.split(separator: " ")[1]) { return value }
        }
        throw TestFailure("no figure \(name)")
    }
}

/// Runs a node for the time of `body`.
func withNode<R>(
    _ store: any Store = MemoryStore(), ready: Bool = true, _ configure: (inout ServerOptions) -> Void = { _ in },
    _ body: (TestNode) throws -> R
) throws -> R {
    var options = ServerOptions(host: "127.0.0.1", port: 0, jwtSecret: Secret(Tokens.secret))
    options.loops = 2
    options.logLevel = .error
    options.nodeName = "test"
    configure(&options)
    let node = try TestNode(store, options)
    defer { node.end() }
    if ready { try node.waitUntilReady() }
    return try body(node)
}

extension String {
    var percentEncoded: String { addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? self }
}

/// A folder of the test's own, gone with this object.
final class TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("converge-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }
}

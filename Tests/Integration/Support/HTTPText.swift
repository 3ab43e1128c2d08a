// Requests as bytes, and answers read just far enough.

import ConvergeTransport
import Foundation

enum HTTPText {
    static let keyHeader = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

    static func upgrade(_ target: String, _ headers: [String] = []) -> String {
        ([
            "GET \(target) HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Version: 13", keyHeader,
        ] + headers).joined(separator: "\r\n") + "\r\n\r\n"
    }

    static func get(_ target: String, _ headers: [String] = []) -> String {
        (["GET \(target) HTTP/1.1", "Host: localhost"] + headers).joined(separator: "\r\n") + "\r\n\r\n"
    }
}

/// An HTTP answer on a connection that the server then ended.
struct HTTPReply {
    let status: Int
    let headers: [String: String]
    let body: String

    init(_ bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.hasPrefix("HTTP/1.1 "), let end = text.range(of: "\r\n\r\n") else {
            throw TestFailure("no HTTP answer: \(text)")
        }
        let lines = text[..<end.lowerBound].split(separator: "\r\n")
        guard let status = Int(lines[0].split(separator: " ")[1]) else { throw TestFailure("no status: \(text)") }
        self.status = status
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { throw TestFailure("no header: \(line)") }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].drop { $0 == " " }.description
        }
        self.headers = headers
        body = String(text[end.upperBound...])
    }

    /// Sends bytes, and reads the answer up to the end of the connection, which must come.
    static func of(
        _ request: String, host: String = "127.0.0.1", port: UInt16, tls: TLSContext? = nil
    ) throws -> HTTPReply {
        let socket = try RawSocket(host: host, port: port, tls: tls)
        try socket.send(request)
        return try HTTPReply(socket.receiveToEnd())
    }

    static func get(
        _ target: String, host: String = "127.0.0.1", port: UInt16, _ headers: [String] = [], tls: TLSContext? = nil
    ) throws -> HTTPReply {
        try of(HTTPText.get(target, headers + ["Connection: close"]), host: host, port: port, tls: tls)
    }
}

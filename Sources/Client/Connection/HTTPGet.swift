import ConvergeTransport
import ConvergeWire
import Glibc

/// One `GET`, blocking, with a deadline for all of it: for programs that ask a node how it is.
///
/// It asks for a connection that ends with the answer, takes bodies with a length or to the end of the connection, and
/// follows nothing. A body over the limit is refused, however it is announced.
public enum HTTPGet {
    public struct Response: Sendable {
        public let status: HTTPStatus
        public let fields: HTTPFields
        public let body: [UInt8]
    }

    public enum Failure: Error, Hashable, Sendable {
        case unreachable(String)
        case timeout
        /// The connection ended within the answer.
        case cutShort
        case notHTTP
        /// Chunks, which no node sends: something else answers.
        case unsupported
        case tooLong
        /// It was asked without TLS, and speaks nothing else.
        case needsTLS
        case speaksNoTLS

        public var message: String {
            switch self {
            case .unreachable(let why): "can't connect: \(why)"
            case .timeout: "no answer in time"
            case .cutShort: "the connection ended within the answer"
            case .notHTTP: "what answers there does not speak HTTP"
            case .unsupported: "what answers there is no node"
            case .tooLong: "the answer is too long"
            case .needsTLS: "this port speaks TLS: use https://"
            case .speaksNoTLS: "this port speaks no TLS: use http://"
            }
        }
    }

    /// - Parameters:
    ///   - url: of which the host, the port and whether it is over TLS count.
    ///   - target: the path and the query, as they stand in a request line.
    ///   - authorityFile: certificates that may vouch for the server beside the system's.
    ///   - verifies: false for a port of this same machine, whoever answers there.
    ///   - timeout: for connecting, for the handshake of TLS and for the answer each; resolving the name takes its own time.
    ///   - limit: the most bytes of body.
    public static func run(
        _ url: ServerURL, target: String, authorityFile: String? = nil, verifies: Bool = true, timeout: Duration,
        limit: Int
    ) throws(Failure) -> Response {
        var link: ServerLink
        do throws(ServerLink.Failure) {
            link = try ServerLink.connect(
                to: url, authorityFile: authorityFile, verifies: verifies, timeout: timeout)
        } catch {
            throw error == .speaksNoTLS ? .speaksNoTLS : .unreachable(error.message)
        }
        let deadline = SystemClock.monotonic() + timeout.nanoseconds
        let request = "GET \(target) HTTP/1.1\r\nHost: \(url.authority)\r\nConnection: close\r\n\r\n"
        try send(Array(request.utf8), over: &link, until: deadline)
        let response = try receive(from: &link, until: deadline, limit: limit)
        if !url.isSecure, response.status == .badRequest, PlainRefusal.isAboutTLS(response.body) { throw .needsTLS }
        return response
    }

    private static func send(
        _ bytes: [UInt8], over link: inout ServerLink, until deadline: UInt64
    ) throws(Failure) {
        var rest = bytes[...]
        while !rest.isEmpty || link.wantsWrite {
            guard link.flush() else { throw .cutShort }
            if rest.isEmpty, !link.wantsWrite { return }
            switch link.wantsWrite ? .wouldBlock : rest.withUnsafeBytes({ link.send($0) }) {
            case .moved(let count): rest = rest.dropFirst(count)
            case .wouldBlock: try wait(for: POLLOUT, on: link.descriptor, until: deadline)
            case .closed: throw .cutShort
            }
        }
    }

    private static func receive(
        from link: inout ServerLink, until deadline: UInt64, limit: Int
    ) throws(Failure) -> Response {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var parser = ResponseParser()
        var head: ResponseHead?
        var length: Int?
        var body: [UInt8] = []
        while true {
            var count = 0
            switch buffer.withUnsafeMutableBytes({ link.receive(into: $0) }) {
            case .moved(let moved): count = moved
            case .wouldBlock where link.mayHaveMore: continue
            case .wouldBlock:
                try wait(for: POLLIN, on: link.descriptor, until: deadline)
                continue
            case .closed:
                guard let head, length == nil else { throw .cutShort }
                return Response(status: head.status, fields: head.fields, body: body)
            }
            var from = 0
            while head == nil, from < count {
                let (consumed, step) = buffer[from..<count].withUnsafeBytes { parser.receive($0) }
                from += consumed
                switch step {
                case .needMore: break
                case .malformed: throw .notHTTP
                case .response(let response):
                    // Interim answers (1xx) are followed by the real one.
                    if response.status.rawValue < 200 { continue }
                    length = try announced(response, limit: limit)
                    head = response
                }
            }
            guard let head else { continue }
            body += buffer[from..<count]
            if body.count > limit { throw .tooLong }
            if let length, body.count >= length {
                return Response(status: head.status, fields: head.fields, body: Array(body.prefix(length)))
            }
            if SystemClock.monotonic() >= deadline { throw .timeout }
        }
    }

    /// The body's length; nil where it goes on to the end of the connection.
    private static func announced(_ head: ResponseHead, limit: Int) throws(Failure) -> Int? {
        guard head.fields.count(of: "transfer-encoding") == 0 else { throw .unsupported }
        guard let text = head.fields.first("content-length")?.string else { return nil }
        guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            let length = Int(text)
        else { throw .notHTTP }
        if length > limit { throw .tooLong }
        return length
    }

    private static func wait(for event: Int32, on socket: Int32, until deadline: UInt64) throws(Failure) {
        var entry = pollfd(fd: socket, events: Int16(event), revents: 0)
        while true {
            let now = SystemClock.monotonic()
            guard now < deadline else { throw .timeout }
            if poll(&entry, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1)) > 0 { return }
        }
    }
}

import ConvergeTransport
import ConvergeWire
import Glibc
import Testing

@testable import ConvergeClient

/// The small HTTP client against a server that says one thing and ends the connection, or doesn't.
@Suite("HTTP GET")
struct HTTPGetTests {
    private func get(
        _ answer: [String], scheme: String = "http", ends: Bool = true, limit: Int = 1_000,
        timeout: Duration = .seconds(5)
    ) throws -> Result<String, HTTPGet.Failure> {
        let listener = try Listener(host: "127.0.0.1", port: 0)
        let descriptor = listener.descriptor
        let server = try WorkerThread(name: "server") {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, 5_000)
            guard case .accepted(let client) = StreamSocket.accept(from: descriptor) else { return }
            defer { close(client) }
            entry = pollfd(fd: client, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, 5_000)
            var request = [UInt8](repeating: 0, count: 4_096)
            _ = request.withUnsafeMutableBytes { StreamSocket.receive(client, into: $0) }
            for piece in answer { _ = Array(piece.utf8).withUnsafeBytes { StreamSocket.send(client, $0) } }
            if !ends {  // until the other side has had enough
                poll(&entry, 1, 5_000)
            }
        }
        let url = try ServerURL("\(scheme)://127.0.0.1:\(listener.port)")
        let result: Result<String, HTTPGet.Failure>
        do throws(HTTPGet.Failure) {
            let response = try HTTPGet.run(
                url, target: "/x", timeout: timeout, limit: limit)
            result = .success("\(response.status.rawValue) " + String(decoding: response.body, as: UTF8.self))
        } catch {
            result = .failure(error)
        }
        server.join()
        return result
    }

    @Test(
        "a body with a length ends there, whether the connection does or not; without one it ends with the connection")
    func bodies() throws {
        #expect(try get(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], ends: false) == .success("200 hello"))
        #expect(try get(["HTTP/1.1 503 No\r\nContent-", "Length: 0\r\n\r\n"]) == .success("503 "))
        #expect(try get(["HTTP/1.1 200 OK\r\n\r\nhel", "lo"]) == .success("200 hello"))
        #expect(
            try get(["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"])
                == .success("200 hi"))
    }

    @Test("what is cut short, too long, late, chunked or no HTTP is an error of its kind")
    func failures() throws {
        #expect(try get(["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"]) == .failure(.cutShort))
        #expect(try get(["HTTP/1.1 200 OK\r\nContent-Le"]) == .failure(.cutShort))
        #expect(try get([]) == .failure(.cutShort))
        #expect(try get(["SSH-2.0-x\r\n"]) == .failure(.notHTTP))
        #expect(try get(["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"]) == .failure(.notHTTP))
        #expect(try get(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]) == .failure(.unsupported))
        #expect(try get(["HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"], ends: false) == .failure(.tooLong))
        #expect(
            try get(["HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 1_001)], ends: false)
                == .failure(.tooLong))
        #expect(
            try get(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"], ends: false, timeout: .milliseconds(100))
                == .failure(.timeout))
    }

    @Test("nobody there is said")
    func unreachable() throws {
        let port = try Listener(host: "127.0.0.1", port: 0).port
        let url = try ServerURL("http://127.0.0.1:\(port)")
        #expect(throws: HTTPGet.Failure.self) {
            try HTTPGet.run(url, target: "/", timeout: .seconds(1), limit: 1)
        }
    }

    @Test("a port that speaks TLS, and one that speaks none, are told as that")
    func schemes() throws {
        let answer =
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 45\r\n\r\nthis port speaks TLS: use https:// or wss://\n"
        #expect(try get([answer]) == .failure(.needsTLS))
        #expect(try get(["HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno!"]) == .success("400 no!"))
        #expect(try get(["HTTP/1.1 400 Bad Request\r\n\r\n"], scheme: "https") == .failure(.speaksNoTLS))
        let other = try get(["220 mail.example ESMTP\r\n"], scheme: "https")
        guard case .failure(.unreachable(let why)) = other else {
            Issue.record("\(other)")
            return
        }
        #expect(why.hasPrefix("TLS handshake failed"))
    }
}

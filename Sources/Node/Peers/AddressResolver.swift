import ConvergeTransport
import ConvergeWire

/// Looks up the names of peers on a thread of its own, since a resolver may block for seconds. Each dial asks anew, so that
/// a peer which has moved is found.
final class AddressResolver: Sendable {
    /// Names that wait; more are told at once that they can't be resolved, and come back with the next dial.
    private static let backlog = 64

    private let waiting = WorkQueue<(address: Text, host: String, port: UInt16)>(capacity: backlog)
    private let answers: Mailbox<PeerMessage>

    init(answers: Mailbox<PeerMessage>) { self.answers = answers }

    /// The answer comes as `resolved`.
    func resolve(_ address: Text, host: String, port: UInt16) {
        guard !waiting.put((address, host, port)) else { return }
        answers.post(.resolved(address, .failure(.init(reason: "too many names are being resolved"))))
    }

    /// The thread's body: ends after `finish`, as soon as the resolver lets go.
    func run() {
        while let (address, host, port) = waiting.take() {
            do throws(SocketAddress.Unresolvable) {
                answers.post(.resolved(address, .success(try SocketAddress.resolve(host: host, port: port))))
            } catch {
                answers.post(.resolved(address, .failure(error)))
            }
        }
    }

    func finish() { waiting.close() }
}

import ConvergeTransport
import ConvergeWire
import Synchronization

/// Asks nodes how they are, all at once, so that what they say is of about the same moment.
public enum ClusterProbe {
    /// The most bytes of one answer: a hundred nodes with a hundred logs make a quarter of a mebibyte.
    static let answerLimit = 32 << 20

    /// In the order of the URLs, within about `timeout`; over TLS it may be three times that.
    /// - Parameter authorityFile: certificates that may vouch for the nodes beside the system's.
    public static func ask(_ urls: [ServerURL], authorityFile: String? = nil, timeout: Duration) -> [NodeAnswer] {
        let answers = Answers(count: urls.count)
        ask(urls, from: 0, authorityFile, timeout: timeout, into: answers)
        return answers.all
    }

    /// A thread asks one, and meanwhile the others are asked.
    private static func ask(
        _ urls: [ServerURL], from index: Int, _ authorityFile: String?, timeout: Duration, into answers: Answers
    ) {
        guard index < urls.count else { return }
        do throws(SystemError) {
            let thread = try WorkerThread(name: "ask") {
                answers.put(ask(urls[index], authorityFile, timeout: timeout), at: index)
            }
            ask(urls, from: index + 1, authorityFile, timeout: timeout, into: answers)
            thread.join()
        } catch {
            answers.put(ask(urls[index], authorityFile, timeout: timeout), at: index)
            ask(urls, from: index + 1, authorityFile, timeout: timeout, into: answers)
        }
    }

    /// Asks one.
    static func ask(_ url: ServerURL, _ authorityFile: String? = nil, timeout: Duration) -> NodeAnswer {
        let shown = "\(url.isSecure ? "https" : "http")://\(url.authority)"
        do throws(HTTPGet.Failure) {
            let response = try HTTPGet.run(
                url, target: "/cluster", authorityFile: authorityFile, timeout: timeout, limit: answerLimit)
            guard response.status == .ok else {
                return NodeAnswer(url: shown, outcome: .failed("it answers \(response.status.rawValue)"))
            }
            // What says no age is from a moment ago.
            let age = response.fields.first("age").flatMap { Int($0.string) } ?? 0
            do throws(NodeReport.Unreadable) {
                let report = try NodeReport(json: response.body)
                return NodeAnswer(url: shown, outcome: .report(report, age: max(0, age)), json: response.body)
            } catch {
                return NodeAnswer(url: shown, outcome: .failed("its answer can't be read at byte \(error.offset)"))
            }
        } catch {
            return NodeAnswer(url: shown, outcome: .failed(error.message))
        }
    }

    private final class Answers: Sendable {
        private let slots: Mutex<[NodeAnswer?]>

        init(count: Int) { slots = Mutex(Array(repeating: nil, count: count)) }

        func put(_ answer: NodeAnswer, at index: Int) { slots.withLock { $0[index] = answer } }

        var all: [NodeAnswer] { slots.withLock { $0.compactMap(\.self) } }
    }
}

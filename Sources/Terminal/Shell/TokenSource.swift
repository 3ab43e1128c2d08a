import ConvergeTransport
import Synchronization

/// Where the client gets its token: one for good, or a command's that is run again when a new one is wanted.
///
/// The command is run first before anything is shown, so that it can ask for a password; what fails later is told
/// as it happens.
final class TokenSource: Sendable {
    private let fixed: String?
    private let command: TokenCommand?
    private let first: Mutex<String?>
    private let failed: @Sendable (String) -> Void

    /// - Parameter failed: told when a later run of the command fails.
    init(
        token: String?, command: TokenCommand?, failed: @escaping @Sendable (String) -> Void
    ) throws(TokenCommand.Failure) {
        fixed = token
        self.command = token == nil ? command : nil
        self.failed = failed
        first = Mutex(try token == nil ? command?.run(isInteractive: true) : nil)
    }

    /// Another token can be had.
    var hasCommand: Bool { command != nil }

    func token() async throws -> String? {
        if let fixed { return fixed }
        guard let command else { return nil }
        if let first = first.withLock({ first in
            defer { first = nil }
            return first
        }) {
            return first
        }
        do {
            return try await Self.run(command)
        } catch {
            if let failure = error as? TokenCommand.Failure { failed(failure.message) }
            throw error
        }
    }

    /// On a thread of its own, since it waits for another program.
    private static func run(_ command: TokenCommand) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            do throws(SystemError) {
                let thread = try WorkerThread(name: "token") {
                    do throws(TokenCommand.Failure) {
                        continuation.resume(returning: try command.run(isInteractive: false))
                    } catch {
                        continuation.resume(throwing: error)
                    }
                }
                thread.detach()
            } catch {
                continuation.resume(throwing: TokenCommand.Failure.cannotRun(error.description))
            }
        }
    }
}

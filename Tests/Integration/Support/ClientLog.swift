// A ChatClient as these tests use it: everything that it tells is kept, and looked at until it holds.

import ConvergeClient
import Foundation
import Synchronization

/// Runs a test on a thread of its own, where it may wait without keeping other tasks from running.
func onOwnThread(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let thread = Thread {
            do {
                try body()
                continuation.resume()
            } catch {
                continuation.resume(throwing: error)
            }
        }
        thread.stackSize = 1 << 21
        thread.start()
    }
}

/// Waits on this thread, which must not be one that tasks run on, for what a task comes to.
func settle<R: Sendable>(_ body: @escaping @Sendable () async throws -> R) throws -> R {
    let result = Mutex<Result<R, any Error>?>(nil)
    let done = DispatchSemaphore(value: 0)
    let box = SettledBox(result)
    // Tests that block keep every thread that tasks of the usual priority run on.
    Task(priority: .high) {
        do { box.set(.success(try await body())) } catch { box.set(.failure(error)) }
        done.signal()
    }
    guard done.wait(timeout: .now() + 30) == .success, let settled = box.get() else {
        throw TestFailure("a task has not come to an end in time")
    }
    return try settled.get()
}

private final class SettledBox<R: Sendable>: Sendable {
    private let result: Mutex<Result<R, any Error>?>

    init(_ result: consuming sending Mutex<Result<R, any Error>?>) { self.result = result }

    func set(_ value: Result<R, any Error>) { result.withLock { $0 = value } }
    func get() -> Result<R, any Error>? { result.withLock { $0 } }
}

/// Takes all events of a client.
final class ClientLog: Sendable {
    let client: ChatClient
    private let events = Mutex<[ClientEvent]>([])

    init(_ client: ChatClient) {
        self.client = client
        let stream = client.events
        Task(priority: .high) { [weak self] in
            for await event in stream { self?.take(event) }
        }
    }

    convenience init(
        _ user: String, at ports: [UInt16], _ configure: (inout ChatClient.Options) -> Void = { _ in }
    ) throws {
        var options = ChatClient.Options()
        // A test waits for no long back-off.
        options.reconnect.backoff = Backoff(first: .milliseconds(20), greatest: .milliseconds(500))
        configure(&options)
        let urls = try ports.map { try ServerURL("ws://127.0.0.1:\($0)") }
        self.init(try ChatClient(urls: urls, token: Tokens.of(user), options: options))
    }

    private func take(_ event: ClientEvent) { events.withLock { $0.append(event) } }

    var all: [ClientEvent] { events.withLock { $0 } }

    func messages(in room: String? = nil) -> [ChatLine] {
        all.compactMap { event in
            guard room == nil || event.room == room, case .message(let line, _) = event.event else { return nil }
            return line
        }
    }

    func bodies(in room: String? = nil) -> [String] { messages(in: room).map(\.body) }

    /// Waits until something holds of all that it was told.
    func wait(_ what: String, until holds: ([RoomEvent]) -> Bool) throws {
        let deadline = Deadline(in: .seconds(30))
        while !holds(all.map(\.event)) {
            if deadline.hasPassed { throw TestFailure("not in time: \(what); it was told \(all.suffix(20))") }
            usleep(2_000)
        }
    }

    /// Waits until rooms have come to be live so often, each time after they were not.
    func waitUntilLive(times: Int = 1) throws {
        try wait("live") { _ in
            var live: Set<String> = []
            var count = 0
            for event in all {
                guard case .connection(let state) = event.event else { continue }
                if case .live = state {
                    if live.insert(event.room).inserted { count += 1 }
                } else {
                    live.remove(event.room)
                }
            }
            return count >= times
        }
    }

    func close() throws { try settle { [client] in await client.close() } }
}

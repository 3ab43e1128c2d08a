import Synchronization

/// A result that comes once, and that any number of tasks wait for.
final class Promise<Value: Sendable, Failure: Error & Sendable>: Sendable {
    private struct State {
        var result: Result<Value, Failure>?
        var waiters: [(id: Int, continuation: CheckedContinuation<Result<Value, Failure>?, Never>)] = []
        var cancelled: Set<Int> = []
        var nextID = 0
    }

    private enum Outcome { case known(Result<Value, Failure>?), waits }

    private let state = Mutex(State())

    /// The first result counts.
    func resolve(_ result: Result<Value, Failure>) {
        let waiters = state.withLock { state -> [CheckedContinuation<Result<Value, Failure>?, Never>] in
            guard state.result == nil else { return [] }
            state.result = result
            defer { state.waiters = [] }
            return state.waiters.map(\.continuation)
        }
        for waiter in waiters { waiter.resume(returning: result) }
    }

    /// - Parameter cancelled: what is thrown where the waiting task is cancelled.
    func value(orIfCancelled cancelled: Failure) async throws(Failure) -> Value {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, Failure>?, Never>) in
                let outcome: Outcome = state.withLock { state in
                    if let result = state.result { return .known(result) }
                    if state.cancelled.contains(id) { return .known(nil) }
                    state.waiters.append((id, continuation))
                    return .waits
                }
                if case .known(let result) = outcome { continuation.resume(returning: result) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Result<Value, Failure>?, Never>? in
                guard let at = state.waiters.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.waiters.remove(at: at).continuation
            }
            waiter?.resume(returning: nil)
        }
        state.withLock { _ = $0.cancelled.remove(id) }
        guard let result else { throw cancelled }
        return try result.get()
    }
}

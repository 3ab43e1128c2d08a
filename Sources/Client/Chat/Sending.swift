import Synchronization

/// A message of one's own on its way, or a write to a document: what becomes of it.
public struct Sending: Sendable {
    /// What the message is known by: it is stored once under this key, however often it is sent. Of a write to a document,
    /// which has no key, only a name in `updates`.
    public let key: String
    let tracker: SendTracker

    /// Its state now, and all that follow; ends after `stored` or `refused`, and where nothing more can be known.
    public var updates: EventStream<SendState> { tracker.updates() }

    /// Waits until it is stored durably.
    ///
    /// A message waits through any number of reconnects. Throws `refused` with the server's reason; `closed` where the
    /// client was closed before, or the room ended; `cancelled` where this task was, which takes nothing back.
    public func stored() async throws(SendFailure) -> Receipt {
        try await tracker.promise.value(orIfCancelled: .cancelled)
    }
}

final class SendTracker: Sendable {
    private struct State {
        var current = SendState.queued
        var isOver = false
        var queues: [EventQueue<SendState>] = []
    }

    let promise = Promise<Receipt, SendFailure>()
    private let state = Mutex(State())

    func updates() -> EventStream<SendState> {
        let queue = EventQueue<SendState>()
        let isOver = state.withLock { state in
            queue.put([state.current])
            if !state.isOver { state.queues.append(queue) }
            return state.isOver
        }
        if isOver { queue.end() }
        return EventStream(queue)
    }

    func tell(_ next: SendState) {
        let queues = state.withLock { state -> [EventQueue<SendState>] in
            guard !state.isOver else { return [] }
            state.current = next
            state.isOver = next.isFinal
            return state.queues
        }
        for queue in queues {
            queue.put([next])
            if next.isFinal { queue.end() }
        }
        switch next {
        case .stored(let receipt): promise.resolve(.success(receipt))
        case .refused(let reason): promise.resolve(.failure(.refused(reason)))
        case .queued, .sent: break
        }
    }

    /// Nothing more will be known.
    func fail(_ failure: SendFailure) {
        let queues = state.withLock { state in
            state.isOver = true
            defer { state.queues = [] }
            return state.queues
        }
        for queue in queues { queue.end() }
        promise.resolve(.failure(failure))
    }
}

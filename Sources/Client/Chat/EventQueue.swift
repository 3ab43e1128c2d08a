import Synchronization

/// How the client's thread hands elements to tasks: any number of tasks take, each element goes to one of them.
///
/// What is put while nobody takes waits here. The queue itself refuses nothing: whoever puts looks at `isFull` before it
/// reads more from its socket, and is called when there is room again.
final class EventQueue<Element: Sendable>: Sendable {
    private struct Waiter {
        let id: Int
        let isWanting: Wanted
        let continuation: CheckedContinuation<[Element]?, Never>
    }

    private enum Wanted { case one, all }
    private enum Outcome { case elements([Element], wasFull: Bool), nothing, waits }

    private struct State {
        var items: [Element] = []
        var head = 0
        var waiters: [Waiter] = []
        var cancelled: Set<Int> = []
        var nextID = 0
        var isEnded = false
        /// Somebody has taken, or said that it will.
        var isWanted: Bool

        var count: Int { items.count - head }

        mutating func take(_ wanted: Wanted) -> [Element] {
            guard wanted == .one, count > 1 else {
                let taken = head == 0 ? items : Array(items[head...])
                items = []
                head = 0
                return taken
            }
            let item = items[head]
            head += 1
            if head >= 256, head * 2 >= items.count {
                items.removeFirst(head)
                head = 0
            }
            return [item]
        }
    }

    private let state: Mutex<State>
    private let capacity: Int
    /// Only the newest element is worth anything.
    private let keepsLatest: Bool
    private let hasRoom: @Sendable () -> Void

    /// - Parameters:
    ///   - isWanted: somebody will take. Otherwise what is over the capacity is dropped until somebody does.
    ///   - hasRoom: called when a full queue has room again.
    init(
        capacity: Int = .max, keepsLatest: Bool = false, isWanted: Bool = true,
        hasRoom: @escaping @Sendable () -> Void = {}
    ) {
        self.capacity = max(capacity, 1)
        self.keepsLatest = keepsLatest
        self.hasRoom = hasRoom
        state = Mutex(State(isWanted: isWanted))
    }

    var isFull: Bool { state.withLock { $0.isWanted && $0.count >= capacity } }

    /// How many elements wait.
    var count: Int { state.withLock { $0.count } }

    /// From now on nothing is dropped.
    func want() { state.withLock { $0.isWanted = true } }

    func put(_ elements: [Element]) {
        guard !elements.isEmpty else { return }
        var served: [(Waiter, [Element])] = []
        state.withLock { state in
            guard !state.isEnded else { return }
            if keepsLatest {
                state.items = [elements[elements.count - 1]]
                state.head = 0
            } else {
                state.items += elements
            }
            if !state.isWanted, state.count > capacity {
                state.items = []
                state.head = 0
            }
            while state.count > 0, !state.waiters.isEmpty {
                let waiter = state.waiters.removeFirst()
                served.append((waiter, state.take(waiter.isWanting)))
            }
        }
        for (waiter, elements) in served { waiter.continuation.resume(returning: elements) }
    }

    /// What waits can still be taken; then there is nothing more.
    func end() {
        let waiters = state.withLock { state in
            state.isEnded = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: nil) }
    }

    /// Waits for one element; nil at the end, and where the task is cancelled.
    func next() async -> Element? { await take(.one)?.first }

    /// Waits for at least one element, and takes all.
    func nextBatch() async -> [Element]? { await take(.all) }

    private func take(_ wanted: Wanted) async -> [Element]? {
        let id = state.withLock { state in
            state.nextID += 1
            state.isWanted = true
            return state.nextID
        }
        let taken = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<[Element]?, Never>) in
                let outcome: Outcome = state.withLock { state in
                    if state.cancelled.contains(id) { return .nothing }
                    if state.count > 0 {
                        let wasFull = state.count >= capacity
                        let taken = state.take(wanted)
                        return .elements(taken, wasFull: wasFull && state.count < capacity)
                    }
                    if state.isEnded { return .nothing }
                    state.waiters.append(Waiter(id: id, isWanting: wanted, continuation: continuation))
                    return .waits
                }
                switch outcome {
                case .elements(let taken, let wasFull):
                    if wasFull { hasRoom() }
                    continuation.resume(returning: taken)
                case .nothing: continuation.resume(returning: nil)
                case .waits: break
                }
            }
        } onCancel: {
            let waiter = state.withLock { state -> Waiter? in
                guard let at = state.waiters.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.waiters.remove(at: at)
            }
            waiter?.continuation.resume(returning: nil)
        }
        state.withLock { _ = $0.cancelled.remove(id) }
        return taken
    }
}

/// A sequence of what happens, for `for await`. It ends when there is nothing more to come, and when the task is
/// cancelled. An element goes to one taker only: two tasks that go over one sequence share it out.
public struct EventStream<Element: Sendable>: AsyncSequence, Sendable {
    let queue: EventQueue<Element>
    /// Kept as long as somebody looks.
    private let owner: (any Sendable)?

    init(_ queue: EventQueue<Element>, owner: (any Sendable)? = nil) {
        self.queue = queue
        self.owner = owner
    }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let stream: EventStream

        public mutating func next() async -> Element? { await stream.queue.next() }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> Element? {
            await stream.queue.next()
        }
    }

    public func makeAsyncIterator() -> Iterator { Iterator(stream: self) }

    /// Waits for at least one element and takes all that wait; nil at the end, and where the task is cancelled.
    public func nextBatch() async -> [Element]? { await queue.nextBatch() }
}

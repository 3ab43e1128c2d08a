// A client that means it: it writes, and when its node goes it connects to another and repeats, by key, what was not
// acknowledged. It remembers everything that it was promised or shown.

import ConvergeTestSupport
import ConvergeTransport
import Glibc
import Synchronization

/// Where clients find nodes.
struct Endpoint: Sendable {
    let host: String
    let port: UInt16
}

/// What one writer knows at the end.
struct WriterRecord: Sendable {
    let user: String
    /// By id, the body of each message that it was shown, whoever wrote it.
    var shown: [String: String] = [:]
    /// By id, the body of each of its own that was acknowledged.
    var acknowledged: [String: String] = [:]
    /// The elements that it was told are in the set, or out of it.
    var added: Set<String> = []
    var removed: Set<String> = []
    /// What was added to the counter for certain, and what may have been.
    var counted = 0
    var uncertain = 0
    var sent = 0
    var repeated = 0
    var duplicates = 0
    var reconnects = 0
    var refused = 0
    /// What must never happen.
    var faults: [String] = []
}

/// Several writers on one thread, each with one connection at a time.
final class PersistentWriters: Sendable {
    private enum Phase: Int, AtomicRepresentable {
        case writing
        /// No more is sent than what is not acknowledged yet.
        case settling
        case ending
    }

    private let phase = Atomic<Phase>(.writing)
    private let settled = Mutex<[WriterRecord]?>(nil)
    private let ended = Atomic<Bool>(false)

    /// - Parameter seed: chooses what they write, and to which nodes they connect.
    init(_ users: [String], at endpoints: [Endpoint], room: String, seed: UInt64) throws {
        try WorkerThread(name: "writers") { [self] in
            var generator = SplitMix64(seed: seed)
            var writers = users.map { Writer($0, endpoints, room) }
            while phase.load(ordering: .acquiring) != .ending {
                let stops = phase.load(ordering: .acquiring) != .writing
                var moved = false
                for index in writers.indices where writers[index].turn(stops: stops, &generator) { moved = true }
                if stops, writers.allSatisfy(\.isDone) { settled.withLock { $0 = writers.map(\.record) } }
                if !moved { usleep(1_000) }
            }
            for writer in writers { writer.close() }
            settled.withLock { $0 = $0 ?? writers.map(\.record) }
            ended.store(true, ordering: .releasing)
        }.detach()
    }

    /// Waits until all that they sent is acknowledged; they stay connected. Gives what they know.
    func settle(within limit: Duration = .seconds(30)) throws -> [WriterRecord] {
        phase.store(.settling, ordering: .releasing)
        let deadline = Deadline(in: limit)
        while true {
            if let records = settled.withLock({ $0 }) { return records }
            if deadline.hasPassed { throw TestFailure("the writers have sent what nobody acknowledges") }
            usleep(2_000)
        }
    }

    /// Ends their connections.
    func end() {
        phase.store(.ending, ordering: .releasing)
        while !ended.load(ordering: .acquiring) { usleep(1_000) }
    }
}

private struct Writer {
    /// How much may be unacknowledged.
    private static let window = 8

    private enum Write {
        case message(body: String)
        case add(String)
        case remove(String)
        case count(Int)

        func json(_ ref: String) -> String {
            switch self {
            case .message(let body): #"{"ref":"\#(ref)","key":"\#(ref)","body":"\#(body)"}"#
            case .add(let element): #"{"ref":"\#(ref)","type":"crdt_orset_add","body":"\#(element)"}"#
            case .remove(let element): #"{"ref":"\#(ref)","type":"crdt_orset_remove","body":"\#(element)"}"#
            case .count(let amount): #"{"ref":"\#(ref)","type":"crdt_counter_add","amount":\#(amount)}"#
            }
        }
    }

    private let endpoints: [Endpoint]
    private let room: String
    private(set) var record: WriterRecord
    private var client: ChatSocket?
    private var isIn = false
    private var heardAt: UInt64 = 0
    private var nextTry: UInt64 = 0
    /// Unacknowledged, in the order in which they were first sent.
    private var pending: [(ref: String, write: Write)] = []
    private var next = 0

    init(_ user: String, _ endpoints: [Endpoint], _ room: String) {
        record = WriterRecord(user: user)
        self.endpoints = endpoints
        self.room = room
    }

    /// All is acknowledged, and it is connected.
    var isDone: Bool { isIn && pending.isEmpty }

    func close() { client?.socket.close() }

    /// Connects, reads, sends; true where something has moved.
    mutating func turn(stops: Bool, _ generator: inout SplitMix64) -> Bool {
        let now = SystemClock.monotonic()
        guard let client else {
            guard now >= nextTry else { return false }
            connect(endpoints.randomElement(using: &generator)!, at: now)
            return true
        }
        var moved = false
        do {
            while let arrival = try client.arrivalIfAny(by: Deadline(in: .zero)) {
                moved = true
                heardAt = now
                switch arrival {
                case .text(let text): try take(Frame(text))
                case .ping, .pong: continue
                case .close, .end:
                    lose(at: now)
                    return true
                }
            }
            // A paused or cut off node says nothing at all: then another one is tried.
            if !pending.isEmpty || !isIn, now > heardAt + 4_000_000_000 {
                lose(at: now)
                return true
            }
            guard isIn, !stops else { return moved }
            while pending.count < Self.window {
                try send(make(&generator))
                moved = true
            }
        } catch {
            if let failure = error as? TestFailure, failure.description.hasPrefix("not a JSON") {
                record.faults.append(failure.description)
            }
            lose(at: now)
        }
        return moved
    }

    private mutating func connect(_ endpoint: Endpoint, at now: UInt64) {
        nextTry = now + 50_000_000
        heardAt = now
        isIn = false
        client = try? ChatSocket(
            host: endpoint.host, port: endpoint.port,
            target: "/ws?room=\(room)&token=\(Tokens.of(record.user))", patience: .seconds(2))
        if client != nil { record.reconnects += 1 }
    }

    private mutating func lose(at now: UInt64) {
        client?.socket.close()
        client = nil
        isIn = false
        nextTry = now + 20_000_000
        // An addition to a counter can't be repeated; whether it was stored nobody can say.
        pending.removeAll { item in
            guard case .count(let amount) = item.write else { return false }
            record.uncertain += amount
            return true
        }
    }

    private mutating func make(_ generator: inout SplitMix64) -> Write {
        next += 1
        let name = "\(record.user)-\(next)"
        switch generator.next() % 8 {
        case 0: return .add(name)
        case 1:
            // One that it has added itself and been told of, so nobody else adds it again.
            guard let element = record.added.subtracting(record.removed).sorted().first else { return .add(name) }
            return .remove(element)
        case 2: return .count(Int(generator.next() % 9) + 1)
        default: return .message(body: name)
        }
    }

    private mutating func send(_ write: Write) throws {
        let ref = "\(record.user)-\(next)"
        if case .remove(let element) = write { record.removed.insert(element) }
        pending.append((ref, write))
        record.sent += 1
        try client?.send(write.json(ref))
    }

    private mutating func take(_ frame: Frame) throws {
        switch frame.type {
        case "welcome":
            isIn = true
            for item in pending {
                record.repeated += 1
                try client?.send(item.write.json(item.ref))
            }
        case "message":
            if let body = record.shown[frame.id], body != frame.body {
                record.faults.append("\(frame.id) was \(body) and is \(frame.body)")
            }
            record.shown[frame.id] = frame.body
        case "ack":
            guard let at = pending.firstIndex(where: { $0.ref == frame.ref }) else { return }
            let item = pending.remove(at: at)
            if frame.bool("duplicate") == true { record.duplicates += 1 }
            switch item.write {
            case .message(let body): record.acknowledged[frame.id] = body
            case .add(let element): record.added.insert(element)
            case .remove: break
            case .count(let amount): record.counted += amount
            }
        case "error":
            // Not stored; right to try again. A node whose store is away says so for a while.
            record.refused += 1
            guard let item = pending.first(where: { $0.ref == frame.ref }) else {
                record.faults.append("\(frame)")
                return
            }
            guard ["busy", "storage unavailable"].contains(frame.body) else {
                record.faults.append("\(frame)")
                return
            }
            usleep(5_000)
            try client?.send(item.write.json(item.ref))
        default: break
        }
    }
}

import ConvergeCRDT
import ConvergeWire

/// Where one frame of a batch goes.
struct FrameRecord: Sendable {
    enum Target: Sendable {
        /// Everybody who is in the room (an index of the core's).
        case room(UInt32)
        case session(SessionID)
        /// Nobody: the room has been shown an event with the same id as this one, which that twin shows where it is known.
        case unshown(room: UInt32, twin: Dot?)
        /// The session is in this room from here on, and gets the frame, if there is one, first.
        case enter(SessionID, room: UInt32, name: Text)
        /// The session, of the second generation, is there from here on, and gets the frame first.
        case welcome(SessionID)
        /// The session gets the room's frames from here on, beside those of its other rooms; or it asks anew where it does.
        case subscribe(SessionID, SubscribeRequest)
        /// It gets the frame, and nothing more of the room.
        case unsubscribe(SessionID, room: UInt32)
        /// The session gets the frame and is then closed by the node.
        case leave(SessionID)
        /// The session is shown what it has missed of its room, and live frames after that; or it is told where it stands.
        case resume(SessionID, ResumeRequest)
        /// The store has been opened for the first time: what it has, the batch's `position`, was there before everybody who is
        /// here, and is nobody's to be shown.
        case begin
        /// The store has been opened with less than was handed out: of the logs only the batch's `position` is left. What is
        /// taken may come back, and is then for those who have not been shown it.
        case setBack
        /// The store has got entries of this room that were never handed out: everybody in it is fed from the store, from
        /// the batch's `position` on.
        case catchUp(room: UInt32)
    }

    let target: Target
    /// The frame's bytes, WebSocket header included; empty where the target is all there is to say. Of a room's frame, as the
    /// first generation of the protocol has it.
    let range: Range<Int>
    /// A room's frame as the second generation has it. Each is empty where nobody on the node speaks that generation.
    let second: Range<Int>
    /// The entry that the frame shows; nil for replies and for what is not stored.
    let dot: Dot?
    /// The frame gets a cursor as its last member: how far the logs have been handed out where it stands.
    var wantsCursor = false
    /// It answers a question about documents, which can be answered otherwise.
    var isAnswer = false

    init(
        _ target: Target, _ range: Range<Int>, second: Range<Int> = 0..<0, dot: Dot? = nil, wantsCursor: Bool = false,
        isAnswer: Bool = false
    ) {
        self.target = target
        self.range = range
        self.second = second
        self.dot = dot
        self.wantsCursor = wantsCursor
        self.isAnswer = isAnswer
    }

    /// Says where a session is rather than showing it something.
    var isMove: Bool {
        switch target {
        case .enter, .welcome, .subscribe, .unsubscribe, .leave, .resume: true
        case .room, .unshown, .session, .begin, .setBack, .catchUp: false
        }
    }
}

/// What a client wants to be shown again, and of which room (an index of the core's). Without a cursor it has joined the room
/// that it is in, and is told what it has been shown there: only its loop knows.
final class ResumeRequest: Sendable {
    let room: UInt32
    let cursor: ClientCursor?
    let ref: Text?

    init(room: UInt32, cursor: ClientCursor?, ref: Text?) {
        self.room = room
        self.cursor = cursor
        self.ref = ref
    }
}

/// A room that a session of the second generation is to be shown.
final class SubscribeRequest: Sendable {
    /// An index of the core's.
    let room: UInt32
    let name: Text
    /// Tells this subscription from an earlier one of the session to the room.
    let stay: UInt32
    /// How many users are in the room.
    let count: Int
    let cursor: ClientCursor?
    let ref: Text?

    init(room: UInt32, name: Text, stay: UInt32, count: Int, cursor: ClientCursor?, ref: Text?) {
        self.room = room
        self.name = name
        self.stay = stay
        self.count = count
        self.cursor = cursor
        self.ref = ref
    }
}

/// Frames on their way from the core or a reader to the loops, in order: encoded once for the whole node.
final class FrameBatch: @unchecked Sendable {
    // Safe to share: nothing in it changes after init, and the buffer's memory lives as long as the batch.
    private let buffer: ByteBuffer
    let records: [FrameRecord]
    /// What of all logs was handed out before this batch.
    let position: VersionVector
    /// The end of this node's own log, beyond which nobody can have been shown anything of it; nil where it isn't known,
    /// since the store was never open, and in batches that are not the core's.
    let own: Dot?

    fileprivate init(
        buffer: consuming ByteBuffer, records: [FrameRecord], position: VersionVector, own: Dot?
    ) {
        self.buffer = buffer
        self.records = records
        self.position = position
        self.own = own
    }

    func bytes(of record: FrameRecord) -> UnsafeRawBufferPointer { buffer.bytes(record.range) }

    /// A room's frame as this generation of the protocol has it.
    func bytes(of record: FrameRecord, for generation: ProtocolGeneration) -> UnsafeRawBufferPointer {
        switch generation {
        case .first: buffer.bytes(record.range)
        case .second: buffer.bytes(record.second)
        }
    }

    var byteCount: Int { buffer.count }
}

/// Builds a `FrameBatch`. Each frame is one WebSocket text message from a server: final, unmasked (RFC 6455, 5.2).
struct FrameBatchBuilder: ~Copyable {
    private var buffer = ByteBuffer()
    private var records: [FrameRecord] = []
    /// The loops that must see the batch whatever rooms it names: those of its sessions. One bit a loop.
    private(set) var loops = LoopSet()
    private var wantsCursors = false
    /// In which generations some room's frame is not written, since nobody spoke them.
    private var isUnwritten = (first: false, second: false)
    /// Documents' changes that are shown otherwise than their entries say.
    private var shownOtherwise: [Dot: DocumentShown] = [:]

    init() {}

    var isEmpty: Bool { records.isEmpty }

    /// Calls `body` with the room of each record that is about a room's entries, in order.
    func forEachRoom(_ body: (UInt32) -> Void) {
        for record in records {
            switch record.target {
            case .room(let room), .unshown(let room, _): body(room)
            case .session, .enter, .welcome, .subscribe, .unsubscribe, .leave, .resume, .begin, .setBack, .catchUp:
                break
            }
        }
    }

    /// Adds a frame whose text `encode` writes; where it writes nothing, nothing is added.
    ///
    /// With a `cursor` the frame says, when the batch is finished, what has been handed out before it: while it waits
    /// behind entries that are not stored, nobody can know that.
    mutating func append(
        to target: FrameRecord.Target, dot: Dot? = nil, cursor: Bool = false, _ encode: (inout ByteBuffer) -> Void
    ) {
        guard let range = appendFrame(encode) else { return }
        add(FrameRecord(target, range, dot: dot, wantsCursor: cursor))
    }

    /// Adds a frame for everybody in a room that shows an entry, written once for each generation that somebody on this node
    /// speaks; where `encode` writes nothing, nothing is added. Where none is spoken there are no bytes: who comes before the
    /// frames are handed out gets them by `complete`.
    mutating func append(
        toRoom room: UInt32, dot: Dot?, _ shown: DocumentShown = .asWritten, by encoders: inout FrameEncoders,
        _ encode: (inout ServerFrameEncoder, inout ByteBuffer) -> Void
    ) {
        var ranges = (first: 0..<0, second: 0..<0)
        var isSpoken = false
        if encoders.isSpoken(.first) {
            isSpoken = true
            ranges.first = appendFrame { encode(&encoders[.first], &$0) } ?? ranges.first
        } else {
            isUnwritten.first = true
        }
        if encoders.isSpoken(.second) {
            isSpoken = true
            ranges.second = appendFrame { encode(&encoders[.second], &$0) } ?? ranges.second
        } else {
            isUnwritten.second = true
        }
        if isSpoken, ranges.first.isEmpty, ranges.second.isEmpty { return }
        add(FrameRecord(.room(room), ranges.first, second: ranges.second, dot: dot))
        if let dot, shown != .asWritten { shownOtherwise[dot] = shown }
    }

    /// Writes what is not written of the rooms' frames in a generation that is spoken by now: somebody has come since.
    /// - Parameter entries: those that the frames show.
    mutating func complete(_ entries: [Entry], by encoders: inout FrameEncoders) {
        let first = isUnwritten.first && encoders.isSpoken(.first)
        let second = isUnwritten.second && encoders.isSpoken(.second)
        guard first || second else { return }
        let entries = Dictionary(entries.map { ($0.dot, $0) }) { first, _ in first }
        for index in records.indices {
            let record = records[index]
            guard case .room = record.target, let dot = record.dot, let entry = entries[dot] else { continue }
            let shown = shownOtherwise[dot] ?? .asWritten
            func write(_ range: Range<Int>, _ isWanted: Bool, _ encoder: inout ServerFrameEncoder) -> Range<Int> {
                guard isWanted, range.isEmpty else { return range }
                // An entry that has no frame has none in either generation.
                return appendFrame { try? encoder.appendFrame(of: entry, shown: shown, to: &$0) } ?? range
            }
            let firstRange = write(record.range, first, &encoders[.first])
            let secondRange = write(record.second, second, &encoders[.second])
            records[index] = FrameRecord(record.target, firstRange, second: secondRange, dot: dot)
        }
    }

    private mutating func appendFrame(_ encode: (inout ByteBuffer) -> Void) -> Range<Int>? {
        let start = buffer.count
        // Room for the longest header; the frame begins where its own, shorter one does.
        _ = buffer.reserve(WebSocketFrame.maximumServerHeaderLength)
        buffer.commit(WebSocketFrame.maximumServerHeaderLength)
        let payload = buffer.count
        encode(&buffer)
        guard buffer.count > payload else {
            buffer.truncate(to: start)
            return nil
        }
        let frame = WebSocketFrame(.text, payloadLength: buffer.count - payload)
        let bytes = buffer.mutableBytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
        let header = frame.writeHeader(before: bytes + payload)
        return payload - header..<buffer.count
    }

    var byteCount: Int { buffer.count }

    /// Sees to it that this loop is handed the batch.
    mutating func include(loop: Int) { loops.insert(loop) }

    /// Takes over what another builder says of where sessions are, but none of the frames that show entries or answer.
    mutating func takeMoves(of other: inout FrameBatchBuilder) {
        for record in other.records where record.isMove {
            let start = buffer.count
            buffer.append(other.buffer.bytes(record.range))
            add(FrameRecord(record.target, start..<buffer.count, wantsCursor: record.wantsCursor))
        }
        other.records.removeAll(where: \.isMove)
    }

    /// Adds what answers a question about documents.
    mutating func appendAnswer(to session: SessionID, _ encode: (inout ByteBuffer) -> Void) {
        guard let range = appendFrame(encode) else { return }
        add(FrameRecord(.session(session), range, isAnswer: true))
    }

    /// Takes those out again.
    mutating func dropAnswers() { records.removeAll(where: \.isAnswer) }

    /// Adds a record without a frame.
    mutating func append(to target: FrameRecord.Target, dot: Dot? = nil) {
        add(FrameRecord(target, 0..<0, dot: dot))
    }

    private mutating func add(_ record: FrameRecord) {
        switch record.target {
        case .room, .unshown, .begin, .setBack, .catchUp: break
        case .session(let session), .enter(let session, _, _), .welcome(let session), .subscribe(let session, _),
            .unsubscribe(let session, _), .leave(let session), .resume(let session, _):
            loops.insert(session.loop)
        }
        if record.wantsCursor { wantsCursors = true }
        records.append(record)
    }

    /// - Parameters:
    ///   - position: what of all logs has been handed out before.
    ///   - own: the end of this node's own log.
    consuming func finish(position: VersionVector = VersionVector(), own: Dot? = nil) -> FrameBatch {
        if wantsCursors { writeCursors(from: position) }
        return FrameBatch(buffer: buffer, records: records, position: position, own: own)
    }
}

extension FrameBatchBuilder {
    /// Writes the frames that want a cursor anew, behind all others.
    private mutating func writeCursors(from position: VersionVector) {
        var reached = position
        for (index, record) in records.enumerated() {
            if let dot = record.dot { reached.advance(to: dot) }
            guard record.wantsCursor else { continue }
            let length = WebSocketFrame.serverPayloadLength(ofFrame: record.range.count)
            // But for its last brace, in front of which the cursor goes.
            let text = Array(buffer.bytes(record.range).suffix(length).dropLast())
            let range = appendFrame { out in
                text.withUnsafeBytes { out.append($0) }
                out.appendCursor(reached)
                out.append("}")
            }
            guard let range else { continue }
            records[index] = FrameRecord(record.target, range, dot: record.dot)
        }
    }
}

/// A set of loops; a node has at most 64.
struct LoopSet: Sendable, Equatable {
    private var bits: UInt64

    init() { bits = 0 }

    private init(bits: UInt64) { self.bits = bits }

    static let limit = 64
    static var all: LoopSet { LoopSet(bits: .max) }

    mutating func insert(_ loop: Int) { bits |= 1 << UInt64(loop) }
    func contains(_ loop: Int) -> Bool { bits & 1 << UInt64(loop) != 0 }
    mutating func formUnion(_ other: LoopSet) { bits |= other.bits }
}

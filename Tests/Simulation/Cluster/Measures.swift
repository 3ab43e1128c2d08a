import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// What a run costs, where somebody wants to know: bytes by kind of frame, entries that were sent twice, what nodes thought
/// of each other and when.
struct Measures {
    /// Only what is sent in this time counts.
    var window: ClosedRange<Microseconds> = 0...Microseconds.max
    private(set) var bytes: [String: Int] = [:]
    private(set) var frames: [String: Int] = [:]
    /// Entries sent, with the bytes that each has by itself.
    private(set) var entriesSent = 0
    private(set) var entryBytes = 0
    private(set) var repeats = 0
    private var sent: Set<LinkEntry> = []
    var states: [(time: Microseconds, node: Int, of: ReplicaID, state: MemberState)] = []

    private struct LinkEntry: Hashable {
        let link: Int
        let side: Int
        let dot: Dot
    }

    mutating func sent(_ bytes: [UInt8], link: Int, side: Int, at now: Microseconds) {
        guard window.contains(now) else { return }
        var reader = PeerFrameReader(maximumLength: PeerLimits.frame)
        bytes.withUnsafeBytes { reader.append($0) }
        guard case .frame(let frame)? = try? reader.next() else { return }
        let kind = Self.name(frame)
        self.bytes[kind, default: 0] += bytes.count
        frames[kind, default: 0] += 1
        let entries: [Entry]
        switch frame {
        case .entries(let pushed, _): entries = pushed
        case .range(let range): entries = range.entries
        default: return
        }
        for entry in entries {
            entriesSent += 1
            var out = ByteBuffer()
            entry.appendHeader(to: &out)
            entryBytes += out.count + entry.payload.count + 16
            if !sent.insert(LinkEntry(link: link, side: side, dot: entry.dot)).inserted { repeats += 1 }
        }
    }

    func total(_ kinds: [String]) -> Int { kinds.reduce(0) { $0 + (bytes[$1] ?? 0) } }

    var total: Int { bytes.values.reduce(0, +) }

    private static func name(_ frame: PeerFrame) -> String {
        switch frame {
        case .hello, .refused: "hello"
        case .probe, .probeRequest, .probeAck, .probeNack, .members: "membership"
        case .entries: "entries"
        case .stored: "stored"
        case .digest: "digest"
        case .summary: "summary"
        case .want, .range: "repair"
        case .snapshotWant, .snapshotChunk: "snapshot"
        case .presenceDelta, .presenceWant, .presenceChunk: "presence"
        }
    }
}

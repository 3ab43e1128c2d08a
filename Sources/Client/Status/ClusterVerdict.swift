import ConvergeCRDT

/// Whether the nodes that were asked are one whole cluster, and if not, why.
///
/// A cluster is whole when all of this holds:
/// - every node that was asked has answered, is `ready`, and is not stuck (its answer is under 10 s old),
/// - every node sees every other member alive and has a link to it; those that left or are forgotten don't count,
/// - every node that was asked is among the members of every other one that was,
/// - no node lacks an entry that another has known of for more than 8 s: what is younger is live traffic,
/// - no node refuses to write because of its clock, has entries dated far ahead of it, or holds a log aside for that,
/// - of each log, two nodes that have equally many entries have the same ones,
/// - two nodes that have the same entries have the same documents.
public struct ClusterVerdict: Sendable {
    /// How documents compare.
    public enum Documents: String, Sendable {
        case equal
        case different
        /// Not all had the same entries when they were asked: something is being written, or somebody lags.
        case moving
        /// There was only one node to look at.
        case alone
    }

    public private(set) var problems: [String] = []
    public private(set) var documents = Documents.alone

    public var isWhole: Bool { problems.isEmpty }

    /// An entry that is missing for longer is no live traffic any more, in milliseconds: a node may learn only after 5 s
    /// that a peer has it, and its answer may be a second old.
    public static let liveTraffic: UInt64 = 8_000
    /// An older answer is of a core that is stuck, in seconds.
    public static let oldestAnswer = 10

    public init(_ answers: [NodeAnswer]) {
        for answer in answers {
            switch answer.outcome {
            case .failed(let why): problems.append("\(answer.url): \(why)")
            case .report(let report, let age): look(at: report, age: age)
            }
        }
        let reports = Self.distinct(answers.compactMap(\.report))
        if reports.count > 1 { documents = .equal }
        for (index, one) in reports.enumerated() {
            for other in reports[(index + 1)...] { compare(one, other) }
        }
    }

    /// Two addresses may lead to one node.
    static func distinct(_ reports: [NodeReport]) -> [NodeReport] {
        var seen: Set<ReplicaID> = []
        return reports.filter { report in report.replica.map { seen.insert($0).inserted } ?? true }
    }

    private mutating func look(at report: NodeReport, age: Int) {
        if report.state != "ready" { problems.append("\(report.name) is \(report.state)") }
        if age > Self.oldestAnswer { problems.append("\(report.name) is stuck: its answer is \(age) s old") }
        if !report.isClockTolerable {
            problems.append("\(report.name) refuses to write: its clock is out of bounds")
        }
        if report.clockLead > HybridClock.tolerance {
            problems.append(
                "\(report.name) has entries dated \(StatusText.duration(report.clockLead)) ahead of its clock")
        }
        for replica in report.held {
            problems.append("\(report.name) holds the log of \(replica) aside: its next entry is dated too far ahead")
        }
        for peer in report.peers where !peer.isGone {
            if peer.state != "alive" {
                problems.append("\(report.name) sees \(peer.name) \(peer.state)")
            } else if !peer.isLinked {
                problems.append("\(report.name) has no link to \(peer.name)")
            } else if !peer.hasTold {
                problems.append("\(report.name) has not heard yet what \(peer.name) has")
            }
            if peer.lacks.milliseconds > Self.liveTraffic {
                problems.append("\(peer.name) is \(peer.lacks.words) behind \(report.name)")
            }
            if peer.leads.milliseconds > Self.liveTraffic {
                problems.append("\(report.name) is \(peer.leads.words) behind \(peer.name)")
            }
        }
    }

    private mutating func compare(_ one: NodeReport, _ other: NodeReport) {
        for (asked, by) in [(one, other), (other, one)]
        where !by.peers.contains(where: { $0.replica == asked.replica && !$0.isGone }) {
            problems.append("\(by.name) does not know \(asked.name)")
        }
        // In the order of the replicas, so that the same cluster is complained of in the same words.
        for replica in one.logs.keys.sorted() {
            guard let here = one.logs[replica], let there = other.logs[replica], here.seq == there.seq,
                here.hash != there.hash
            else { continue }
            problems.append("\(one.name) and \(other.name) have different logs of \(replica)")
        }
        if one.documentsVector != other.documentsVector {
            if documents == .equal { documents = .moving }
        } else if one.documentsDigest != other.documentsDigest {
            documents = .different
            problems.append("\(one.name) and \(other.name) have the same entries and different documents")
        }
    }
}

extension NodeReport.Lag {
    /// `120 entries (2.1 s)`.
    var words: String {
        "\(entries) \(entries == 1 ? "entry" : "entries") (\(StatusText.seconds(milliseconds)))"
    }
}

/// What came of asking one address.
public struct NodeAnswer: Sendable {
    public enum Outcome: Sendable {
        case failed(String)
        /// - age: seconds since it was so.
        case report(NodeReport, age: Int)
    }

    public let url: String
    public let outcome: Outcome
    /// What was answered, as it came; empty where nothing was.
    public let json: [UInt8]

    public init(url: String, outcome: Outcome, json: [UInt8] = []) {
        self.url = url
        self.outcome = outcome
        self.json = json
    }

    public var report: NodeReport? { if case .report(let report, _) = outcome { report } else { nil } }
}

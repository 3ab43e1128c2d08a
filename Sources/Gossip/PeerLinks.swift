import ConvergeCRDT
import ConvergeWire

// Which link leads to which peer.
//
// A link begins with a hello from either side. It is established when the other's hello names the same cluster, a common
// protocol version, and neither ourselves nor a twin of ours. Two nodes that dial each other at once get two links; both
// keep the one that the lower replica dialled, so that exactly one stays.
//
// Invariant: there is at most one established link to each replica, and before its hello nothing else of a link counts:
// whatever else comes first, of known kinds or of unknown ones, ends it.

/// Names one link on this node; whoever carries the bytes chooses the number, and never uses one twice.
public struct LinkID: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (a: LinkID, b: LinkID) -> Bool { a.rawValue < b.rawValue }
}

public struct PeerLinksOptions: Sendable {
    /// How long a hello may take, in milliseconds.
    public var helloTimeout: UInt64 = 5_000
    /// Two links are taken for dials that crossed, rather than for a lost one and its successor, where the second was opened
    /// within this time after the first, in milliseconds.
    public var crossing: UInt64 = 2_000
    /// Of how many replicas the last process is remembered.
    public var remembered = 1_024
    /// The most links that have not said hello.
    public var pending = 32
    public var lowestVersion: UInt16 = 1
    public var highestVersion: UInt16 = 1
    public var planted: PlantedFaults = []

    public init() {}
}

public enum PeerLinksEvent: Sendable {
    /// `dialled` is the address that was dialled; nil where the other side did.
    case opened(LinkID, dialled: Text?)
    case frame(LinkID, PeerFrame)
    /// A frame of a kind that only newer builds know.
    case unknownFrame(LinkID)
    case closed(LinkID)
    case tick
}

public enum PeerLinksEffect: Sendable {
    case send(LinkID, PeerFrame)
    case close(LinkID)
    /// A link to this peer is established. `renews` where it takes the place of another, which is being closed.
    case linked(LinkID, PeerHello, version: UInt16, dialled: Text?, renews: Bool)
    /// `isReplaced` where the other side has closed it since it keeps another one between the two.
    case unlinked(ReplicaID, isReplaced: Bool)
    /// The other side of a link broke the protocol; the link is closed.
    case violation(String)
    /// This dial came to nothing, or only to a peer that another link leads to, or to ourselves.
    case dialEnded(Text, reached: ReplicaID?)
    /// Another process writes under our replica, and we are the one to give it up.
    case twin
    case received(ReplicaID, PeerFrame)
}

public struct PeerLinks: Sendable {
    private struct Link: Sendable {
        let id: LinkID
        let dialled: Text?
        let opened: UInt64
        var peer: PeerHello?
    }

    private let options: PeerLinksOptions
    /// In the order in which they were opened.
    private var links: [Link] = []
    /// The last processes that were linked under each replica, the oldest first.
    private var processes: [(replica: ReplicaID, boot: UInt64, process: UInt64, lastKind: UInt8)] = []
    public private(set) var refused = 0
    public private(set) var timedOut = 0

    public init(options: PeerLinksOptions = PeerLinksOptions()) { self.options = options }

    /// The established link to a replica.
    public func link(to replica: ReplicaID) -> LinkID? { links.first { $0.peer?.replica == replica }?.id }

    /// The last kind of document that a replica's process knows, as it said when it was last met; nil where that is not known.
    public func lastKind(of replica: ReplicaID) -> UInt8? { processes.last { $0.replica == replica }?.lastKind }

    /// The hellos of all established links, sorted by replica.
    public var peers: [PeerHello] { links.compactMap(\.peer).sorted { $0.replica < $1.replica } }

    /// - Parameter own: what is said of ourselves in a hello.
    public mutating func handle(
        _ event: PeerLinksEvent, own: PeerHello, at now: UInt64, into effects: inout [PeerLinksEffect]
    ) {
        switch event {
        case .opened(let id, let dialled):
            guard links.count(where: { $0.peer == nil }) < options.pending else {
                refused += 1
                effects.append(.close(id))
                if let dialled { effects.append(.dialEnded(dialled, reached: nil)) }
                return
            }
            links.append(Link(id: id, dialled: dialled, opened: now))
            effects.append(.send(id, .hello(own)))
        case .frame(let id, let frame):
            receive(frame, on: id, own: own, into: &effects)
        case .unknownFrame(let id):
            if let link = links.first(where: { $0.id == id }), link.peer == nil { refuseFirst(id, into: &effects) }
        case .closed(let id):
            guard let at = links.firstIndex(where: { $0.id == id }) else { return }
            drop(at, into: &effects)
        case .tick:
            for link in links where link.peer == nil && now >= link.opened + options.helloTimeout {
                timedOut += 1
                close(link.id, nil, into: &effects)
            }
        }
    }

    /// Closes every link: we go on under another name, or stop.
    public mutating func closeAll(_ refusal: PeerRefusal?, into effects: inout [PeerLinksEffect]) {
        for link in links { close(link.id, refusal, into: &effects) }
    }

    /// Closes the link to a peer that broke the protocol.
    public mutating func close(
        _ replica: ReplicaID, _ refusal: PeerRefusal?, into effects: inout [PeerLinksEffect]
    ) {
        if let id = link(to: replica) { close(id, refusal, into: &effects) }
    }

    private mutating func close(
        _ id: LinkID, _ refusal: PeerRefusal?, reached: ReplicaID? = nil, isReplaced: Bool = false,
        into effects: inout [PeerLinksEffect]
    ) {
        guard let at = links.firstIndex(where: { $0.id == id }) else { return }
        if let refusal { effects.append(.send(id, .refused(refusal))) }
        effects.append(.close(id))
        drop(at, reached: reached, isReplaced: isReplaced, into: &effects)
    }

    /// Something else than a hello came first.
    private mutating func refuseFirst(_ id: LinkID, into effects: inout [PeerLinksEffect]) {
        effects.append(.violation("something else than a hello came first"))
        close(id, .violation, into: &effects)
    }

    private mutating func drop(
        _ at: Int, reached: ReplicaID? = nil, isReplaced: Bool = false, into effects: inout [PeerLinksEffect]
    ) {
        let link = links.remove(at: at)
        if let peer = link.peer {
            effects.append(.unlinked(peer.replica, isReplaced: isReplaced))
        } else if let dialled = link.dialled {
            effects.append(.dialEnded(dialled, reached: reached))
        }
    }

    private mutating func receive(
        _ frame: PeerFrame, on id: LinkID, own: PeerHello, into effects: inout [PeerLinksEffect]
    ) {
        guard let at = links.firstIndex(where: { $0.id == id }) else { return }
        switch frame {
        case .hello(let hello):
            guard links[at].peer == nil else {
                effects.append(.violation("a second hello came"))
                close(id, .violation, into: &effects)
                return
            }
            receive(hello, at: at, own: own, into: &effects)
        case .refused(.twin):
            // The other side has seen that we are twins and keeps the replica. It has said who it is before that.
            let isKnown = links[at].peer != nil
            close(id, nil, into: &effects)
            if isKnown, !options.planted.has(.clonedIdentityKept) { effects.append(.twin) }
        case .refused(let refusal):
            close(id, nil, isReplaced: refusal == .duplicate, into: &effects)
        default:
            guard let peer = links[at].peer else {
                refuseFirst(id, into: &effects)
                return
            }
            effects.append(.received(peer.replica, frame))
        }
    }

    private mutating func receive(
        _ hello: PeerHello, at: Int, own: PeerHello, into effects: inout [PeerLinksEffect]
    ) {
        let id = links[at].id
        let version = min(hello.highestVersion, own.highestVersion)
        let refusal: PeerRefusal?
        if hello.process == own.process {
            refusal = .oneself
        } else if hello.cluster != own.cluster {
            refusal = .otherCluster
        } else if version < max(hello.lowestVersion, own.lowestVersion) {
            refusal = .noCommonVersion
        } else if hello.replica == own.replica {
            // Of two that write under one replica the one that was started later gives it up; both see it alike.
            let isOurs = (hello.boot, hello.process) < (own.boot, own.process)
            close(id, isOurs ? nil : .twin, into: &effects)
            if isOurs, !options.planted.has(.clonedIdentityKept) { effects.append(.twin) }
            return
        } else {
            refusal = nil
        }
        if let refusal {
            refused += 1
            close(id, refusal, reached: refusal == .oneself ? own.replica : nil, into: &effects)
            return
        }
        let other = links.firstIndex { $0.peer?.replica == hello.replica }
        if let last = processes.first(where: { $0.replica == hello.replica }), last.process != hello.process,
            last.boot >= hello.boot
        {
            // A process that was started after that one raised the boot: this is a twin, or its disk was set back. What it
            // says of its sessions can't be told from what that one said.
            refused += 1
            close(id, .twin, reached: hello.replica, into: &effects)
            return
        }
        if let other, staysBefore(other, at, hello, own) {
            close(id, .duplicate, reached: hello.replica, into: &effects)
            return
        }
        let dialled = links[at].dialled
        links[at].peer = hello
        remember(hello)
        if let other {
            let old = links.remove(at: other)
            effects.append(.send(old.id, .refused(.duplicate)))
            effects.append(.close(old.id))
        }
        effects.append(.linked(id, hello, version: version, dialled: dialled, renews: other != nil))
    }

    private mutating func remember(_ hello: PeerHello) {
        processes.removeAll { $0.replica == hello.replica }
        if processes.count >= options.remembered { processes.removeFirst() }
        processes.append((hello.replica, hello.boot, hello.process, hello.lastKind))
    }

    /// Whether the established link `old` stays, and the one on which `hello` has come goes.
    private func staysBefore(_ old: Int, _ new: Int, _ hello: PeerHello, _ own: PeerHello) -> Bool {
        // Another process: the one that was started first has ended, whether that was heard or not.
        guard links[old].peer?.process == hello.process else { return false }
        // So long after the first the other side would not dial, had it not lost that one.
        guard links[new].opened <= links[old].opened + options.crossing else { return false }
        let dialsFirst = own.replica < hello.replica
        let oldIsKept = (links[old].dialled != nil) == dialsFirst
        let newIsKept = (links[new].dialled != nil) == dialsFirst
        // Two that one side has dialled: it would not have, had it not lost the older.
        return oldIsKept && !newIsKept
    }
}

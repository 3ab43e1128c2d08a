import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

/// What a simulated disk keeps its entries in.
protocol DiskStore: Store {
    var vector: VersionVector { get }
    var state: MemoryState { get }
    var floors: VersionVector { get }
    var shown: [Entry] { get }
    func fingerprint() -> UInt64
    func forgetFaults()
}

extension MemoryStore: DiskStore {}

extension SharedMemoryStore: DiskStore {
    var vector: VersionVector { database.vector }
    var state: MemoryState { database.state }
    var floors: VersionVector { database.floors }
    var shown: [Entry] { database.shown }
    func fingerprint() -> UInt64 { database.fingerprint() }
}

/// One data directory, or a node's way to a database that others write, too: a store, how slow it is, and what it holds as
/// far as its writer has told.
final class Disk {
    let index: Int
    var store: any DiskStore
    private let usual: (latency: ClosedRange<UInt64>, reading: ClosedRange<UInt64>)
    /// How long a commit takes, in microseconds.
    var latency: ClosedRange<UInt64>
    var reading: ClosedRange<UInt64>
    /// What it holds durably.
    private(set) var vector = VersionVector()
    /// All that it ever held.
    private(set) var most = VersionVector()
    /// What it looked like some time ago.
    var backup: MemoryStore?

    init(index: Int, store: any DiskStore, latency: ClosedRange<UInt64>, reading: ClosedRange<UInt64>) {
        self.index = index
        self.store = store
        self.latency = latency
        self.reading = reading
        usual = (latency, reading)
    }

    /// As fast as it was in the beginning, and nothing more goes wrong with it.
    func recover() {
        (latency, reading) = usual
        outage = nil
        store.forgetFaults()
    }

    /// As fast as it was in the beginning.
    func quicken() { (latency, reading) = usual }

    /// While this is set the disk answers nothing.
    var outage: StoreError? {
        didSet {
            own?.setOutage(outage)
            shared?.setOutage(outage, losesRequest: outage != nil && isSilent)
        }
    }

    /// The bodies of all messages that its history shows.
    var bodies: Set<String> {
        var bodies: Set<String> = []
        for entry in store.shown where entry.kind == .message && !entry.flags.contains(.redacted) {
            guard let payload = entry.payload.withUnsafeBytes({ try? MessagePayload(decoding: $0) }) else { continue }
            bodies.insert(String(decoding: payload.body, as: UTF8.self))
        }
        return bodies
    }

    /// While it is, nothing can be written, and reads go on.
    var isFull = false {
        didSet { own?.setFull(isFull) }
    }

    /// Who sends something to a database that is out of reach is told nothing.
    var isSilent = false

    /// Where it is this node's alone, and where others write it, too.
    var own: MemoryStore? { store as? MemoryStore }
    var shared: SharedMemoryStore? { store as? SharedMemoryStore }
    /// What no frame may be beyond: all that was ever committed, where a standby may have taken the database's place since.
    var committed: VersionVector { shared == nil ? vector : most }

    /// Reads how far the store is, also while it is out of order.
    func look() {
        vector = store.vector
        most.merge(vector)
    }
}

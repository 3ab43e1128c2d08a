import ConvergeCRDT
import ConvergeStorage
import ConvergeTransport
import ConvergeWire
import Glibc

/// What tells this machine, and this run of its kernel, from others: a replica's identity is bound to it.
struct MachineIdentity: Sendable {
    let machine: String
    let boot: String

    /// Reads machine-id(5) and the kernel's boot id; a machine without one is known by its host name.
    static func read() -> MachineIdentity {
        MachineIdentity(
            machine: line(of: "/etc/machine-id") ?? line(of: "/var/lib/dbus/machine-id") ?? hostName(),
            boot: line(of: "/proc/sys/kernel/random/boot_id") ?? "")
    }

    static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func start(nodeName: Text, held: WriterStart.Held?, renew: Bool) -> WriterStart {
        WriterStart(
            freshReplica: Self.draw(from: SecureRandom.word), machine: machine, machineBoot: boot,
            nodeName: nodeName.string, held: held, renew: renew)
    }

    /// A name for a new replica: the first word that one can have.
    static func draw(from word: () -> UInt64) -> ReplicaID {
        while true {
            if let replica = ReplicaID(assigned: word()) { return replica }
        }
    }

    private static func line(of path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 128)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else { return nil }
        let bytes = buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }
}

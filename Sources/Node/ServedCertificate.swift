import ConvergeTransport
import ConvergeWire
import Synchronization

/// The certificate that new connections are shown. Loops ask for it at each connection; it may be exchanged meanwhile.
final class ServedCertificate: Sendable {
    private let files: TLSFiles
    private let context: Mutex<TLSContext>

    /// - Throws: `.unusable` with the file and what is wrong with it.
    init(_ files: TLSFiles) throws(TLSError) {
        self.files = files
        context = Mutex(try Self.read(files))
    }

    var current: TLSContext { context.withLock { $0 } }

    /// When it ends, in seconds since 1970.
    var end: Int { current.certificateEnd ?? 0 }

    /// For the log.
    var fields: [LogField] {
        var end = ByteBuffer()
        var timestamps = TimestampWriter()
        timestamps.append(milliseconds: UInt64(clamping: self.end) * 1_000, to: &end)
        return [
            LogField("certificate", files.certificate), LogField("ends", String(decoding: end.bytes, as: UTF8.self)),
        ]
    }

    /// Reads the files anew. The old certificate stays where they can't be used.
    func reload() throws(TLSError) {
        let fresh = try Self.read(files)
        context.withLock { $0 = fresh }
    }

    private static func read(_ files: TLSFiles) throws(TLSError) -> TLSContext {
        try TLSContext.server(certificateFile: files.certificate, keyFile: files.key)
    }
}

/// What a server needs to speak TLS with its clients.
public struct TLSFiles: Hashable, Sendable {
    /// PEM: the server's certificate first, then those that lead to a root.
    public var certificate: String
    /// PEM: its key, without a passphrase.
    public var key: String

    public init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }
}

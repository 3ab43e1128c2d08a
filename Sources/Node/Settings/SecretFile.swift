import ConvergeTransport
import Glibc

/// Reads a secret from a file, as orchestrators hand them out (`/run/secrets/…`): the whole file but the newline at its
/// end.
extension Secret {
    /// - Throws: a `SettingsError` that names `variable` and the file.
    public init(file path: String, variable: String = "CONVERGE_JWT_SECRET_FILE") throws(SettingsError) {
        func failed(_ problem: String) -> SettingsError {
            SettingsError(variable: variable, value: path, problem: problem)
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failed("can't be read: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4_098)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes {
                read(descriptor, $0.baseAddress?.advanced(by: count), $0.count - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw failed("can't be read: \(String(cString: strerror(errno)))") }
            if got == 0 { break }
            count += got
        }
        bytes.removeLast(bytes.count - count)
        while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
        guard !bytes.isEmpty else { throw failed("must hold a secret, but is empty") }
        guard bytes.count <= 4_096 else { throw failed("must hold a secret of at most 4096 bytes") }
        self.init(bytes)
    }
}

extension Settings {
    /// Whether the certificate and its key, where they are set, can be used.
    /// - Throws: a `SettingsError` that names the variable or flag, the file and what is wrong with it.
    public func checkCertificate() throws(SettingsError) {
        guard let files = options.tls else { return }
        do throws(TLSError) {
            _ = try TLSContext.server(certificateFile: files.certificate, keyFile: files.key)
        } catch .unusable(let file?, let reason) {
            let isKey = file == files.key
            let variable = isKey ? "CONVERGE_TLS_KEY" : "CONVERGE_TLS_CERT"
            throw SettingsError(
                variable: sources[variable] == .flag ? (isKey ? "--tls-key" : "--tls-cert") : variable, value: file,
                problem: reason)
        } catch {
            throw SettingsError(variable: "CONVERGE_TLS_CERT", problem: "\(error)")
        }
    }

    /// Fills the secret from its file, where the settings name one.
    public mutating func readSecretFile() throws(SettingsError) {
        guard let jwtSecretFile else { return }
        let variable = sources["CONVERGE_JWT_SECRET_FILE"] == .flag ? "--jwt-secret-file" : "CONVERGE_JWT_SECRET_FILE"
        options.jwtSecret = try Secret(file: jwtSecretFile, variable: variable)
    }
}

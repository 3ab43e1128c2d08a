import ConvergeTransport
import Glibc

/// A secret in a file, as orchestrators hand them out (`/run/secrets/…`).
struct SecretFile {
    let secret: Secret
    /// Every user of the machine can read the file.
    let isOpenToAll: Bool

    /// - Throws: a `SettingsError` that names `variable` and the file.
    init(_ path: String, variable: String) throws(SettingsError) {
        func failed(_ problem: String) -> SettingsError {
            SettingsError(variable: variable, value: path, problem: problem)
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failed("can't be read: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var status = stat()
        isOpenToAll = fstat(descriptor, &status) == 0 && status.st_mode & S_IROTH != 0
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
        do throws(Secret.Unusable) {
            secret = try Secret(written: bytes)
        } catch {
            throw failed("must hold a secret: \(error.reason)")
        }
    }

    /// Whether every user of the machine can read what is at this path.
    static func isOpenToAll(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IROTH != 0
    }
}

extension Secret {
    /// Reads a secret from a file: the whole file but the newline at its end.
    /// - Throws: a `SettingsError` that names `variable` and the file.
    public init(file path: String, variable: String = "CONVERGE_JWT_SECRET_FILE") throws(SettingsError) {
        self = try SecretFile(path, variable: variable).secret
    }

    /// A secret as it stands in a variable: the same as in a file, its line end cut.
    /// - Throws: a `SettingsError` that names the variable, and never the value.
    public init(variable: String, value: String) throws(SettingsError) {
        // Where the variable's bytes were no text, others that sign with them have another secret.
        guard !value.unicodeScalars.contains("\u{FFFD}") else {
            throw SettingsError(
                variable: variable, problem: "must be a secret in UTF-8: other bytes belong into a file")
        }
        do throws(Unusable) {
            try self.init(written: Array(value.utf8))
        } catch {
            throw SettingsError(variable: variable, problem: "must be a secret: \(error.reason)")
        }
    }
}

extension Settings {
    /// Whether the certificate and its key, where they are set, can be used.
    /// - Throws: a `SettingsError` that names the variable or flag, the file and what is wrong with it.
    public mutating func checkCertificate() throws(SettingsError) {
        guard let files = options.tls else { return }
        if SecretFile.isOpenToAll(files.key) {
            warn("CONVERGE_TLS_KEY: every user of this machine can read \(files.key) (chmod o-r)")
        }
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
        let file = try SecretFile(jwtSecretFile, variable: variable)
        options.jwtSecret = file.secret
        if file.isOpenToAll { warn("\(variable): every user of this machine can read \(jwtSecretFile) (chmod o-r)") }
        guard let weakness = file.secret.weakness else { return }
        guard !requiresStrongSecret else {
            throw SettingsError(variable: variable, value: jwtSecretFile, problem: weakness)
        }
        warn("\(variable): \(weakness)")
    }
}

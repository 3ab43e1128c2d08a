import Glibc
import Testing

@testable import ConvergeNode

@Suite("Secrets in files")
struct SecretFileTests {
    /// Calls `body` with a file of these bytes, which is gone afterwards.
    private func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
        var path = Array("/tmp/converge-secret-XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        try #require(descriptor >= 0)
        let name = path.withUnsafeBufferPointer {
            String(decoding: $0.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        defer { unlink(name) }
        _ = write(descriptor, bytes, bytes.count)
        close(descriptor)
        try body(name)
    }

    @Test("the secret is the file without the newline at its end")
    func reads() throws {
        try withFile(Array(" s e\u{e9} \r\n\n".utf8)) { path in
            #expect(try Secret(file: path).bytes == Array(" s e\u{e9} ".utf8))
            var settings = try Settings(environment: ["CONVERGE_JWT_SECRET_FILE": path])
            try settings.readSecretFile()
            #expect(settings.options.jwtSecret?.bytes == Array(" s e\u{e9} ".utf8))
        }
    }

    @Test("an empty or endless file is refused", arguments: [0, 1, 4_097, 10_000])
    func refuses(count: Int) throws {
        try withFile([UInt8](repeating: count == 1 ? 0x0A : 0x61, count: count)) { path in
            #expect(throws: SettingsError.self) { try Secret(file: path) }
        }
    }

    @Test("a file in another encoding, or with nothing but blanks, is refused")
    func noText() throws {
        for bytes in [
            [0xEF, 0xBB, 0xBF, 0x61], [0xFF, 0xFE, 0x61, 0], [0xFE, 0xFF, 0, 0x61], Array("  \n".utf8),
            Array("\t \r\n".utf8),
        ] as [[UInt8]] {
            try withFile(bytes) { path in #expect(throws: SettingsError.self) { try Secret(file: path) } }
        }
    }

    @Test(
        "a secret that can be guessed, or that every user can read, is warned of; where it must not be weak it is refused"
    )
    func warnings() throws {
        let long = Array(String(repeating: "s", count: 32).utf8)
        func warnings(_ bytes: [UInt8], mode: mode_t, strict: Bool = false) throws -> [String] {
            var warnings: [String] = []
            try withFile(bytes) { path in
                chmod(path, mode)
                var settings = try Settings(
                    environment: strict ? ["CONVERGE_REQUIRE_STRONG_SECRET": "1"] : [:],
                    flags: ["jwt-secret-file": path])
                try settings.readSecretFile()
                warnings = settings.warnings.map { $0.replacing(path, with: "FILE") }
            }
            return warnings
        }
        #expect(try warnings(long, mode: 0o600) == [])
        #expect(try warnings(long, mode: 0o640) == [])
        #expect(
            try warnings(long, mode: 0o644)
                == ["--jwt-secret-file: every user of this machine can read FILE (chmod o-r)"])
        #expect(try warnings(Array("short".utf8), mode: 0o600).count == 1)
        #expect(try warnings(long, mode: 0o600, strict: true) == [])
        #expect(throws: SettingsError.self) { try warnings(Array("short".utf8), mode: 0o600, strict: true) }
    }

    @Test("a file that isn't there is named, with the flag it came by")
    func missing() throws {
        var settings = try Settings(environment: [:], flags: ["jwt-secret-file": "/nonexistent/x"])
        let error = #expect(throws: SettingsError.self) { try settings.readSecretFile() }
        #expect(error?.message == "--jwt-secret-file=\"/nonexistent/x\": can't be read: No such file or directory")
    }
}

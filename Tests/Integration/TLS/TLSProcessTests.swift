// TLS between processes: the node, the command's own client, and OpenSSL's.

import ConvergeTransport
import Foundation
import Testing

@Suite struct TLSProcessTests {
    private let certificate = TestCertificate(names: "DNS:localhost,IP:127.0.0.1")

    private func serve(_ folder: TemporaryFolder, _ more: [String: String] = [:]) throws -> NodeProcess {
        let node = try NodeProcess.serve(
            database: folder.path("converge.db"),
            environment: ["CONVERGE_TLS_CERT": certificate.certificate, "CONVERGE_TLS_KEY": certificate.key]
                .merging(more) { $1 }, waits: false)
        _ = try node.waitForLine(containing: "store opened")
        return node
    }

    private func chat(_ url: String, _ words: [String] = [], environment: [String: String] = [:]) throws -> (
        Int32, String
    ) {
        let client = try NodeProcess(
            ["chat", "--server", url] + words,
            environment: ["CONVERGE_TOKEN": Tokens.of("ann")].merging(environment) { $1 })
        return (try client.waitForExit(), client.output)
    }

    @Test func `converge chat speaks TLS, and only to a server that it can trust`() throws {
        let folder = try TemporaryFolder()
        let node = try serve(folder)
        let ca = certificate.certificate
        for url in ["wss://localhost:\(node.port)", "https://127.0.0.1:\(node.port)"] {
            let (status, output) = try chat(url, ["--ca", ca])
            #expect(status == 0 && output.contains("you are ann"), "\(output)")
            #expect(try chat(url, environment: ["SSL_CERT_FILE": ca]).0 == 0)
        }
        let (distrusted, reason) = try chat("wss://localhost:\(node.port)")
        #expect(distrusted == 1 && reason.contains("self-signed certificate"), "\(reason)")
        let (misnamed, name) = try chat("wss://127.0.0.2:\(node.port)", ["--ca", ca])
        #expect(misnamed == 1, "\(name)")
        let (nowhere, file) = try chat("wss://localhost:\(node.port)", ["--ca", "/nowhere.pem"])
        #expect(nowhere == 1 && file.contains("/nowhere.pem"), "\(file)")
        let (plain, words) = try chat("ws://127.0.0.1:\(node.port)")
        #expect(plain == 1 && words.contains("this port speaks TLS: use wss://"), "\(words)")
    }

    @Test func `TLS to a node that speaks none is told as that, in chat and in status`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("converge.db"))
        let (status, output) = try chat("wss://127.0.0.1:\(node.port)")
        #expect(status == 1 && output.contains("this port speaks no TLS: use ws://"), "\(output)")
        let process = try NodeProcess(["status", "https://127.0.0.1:\(node.port)"])
        #expect(try process.waitForExit() == 1)
        #expect(process.output.contains("this port speaks no TLS: use http://"), "\(process.output)")
    }

    @Test func `converge health asks this machine's node, with TLS under whatever name`() throws {
        let folder = try TemporaryFolder()
        func health(_ words: [String], _ environment: [String: String]) throws -> (Int32, String) {
            let process = try NodeProcess(["health"] + words, environment: environment)
            return (try process.waitForExit(), process.output)
        }
        let elsewhere = TestCertificate(names: "DNS:chat.example.com")
        let files = ["CONVERGE_TLS_CERT": elsewhere.certificate, "CONVERGE_TLS_KEY": elsewhere.key]
        let node = try serve(folder, files)
        let secure = files.merging(["CONVERGE_ADDR": "127.0.0.1:\(node.port)"]) { $1 }
        for words in [[], ["--ready"]] {
            let (status, output) = try health(words, secure)
            #expect(status == 0, "\(words) \(output)")
        }
        // Without TLS it is answered 400, and where nothing listens not at all.
        #expect(try health([], ["CONVERGE_ADDR": "127.0.0.1:\(node.port)"]).0 == 1)
        node.kill(SIGTERM)
        #expect(try node.waitForExit() == 0)
        let (gone, reason) = try health([], secure)
        #expect(gone == 1 && reason.contains("can't connect"), "\(reason)")
        #expect(try health(["http://127.0.0.1"], secure).0 == 2)
    }

    @Test func `converge status asks over TLS, and only a node that it can trust`() throws {
        let folder = try TemporaryFolder()
        let node = try serve(folder)
        func status(_ words: [String]) throws -> (Int32, String) {
            let process = try NodeProcess(["status"] + words)
            return (try process.waitForExit(), process.output)
        }
        let url = "https://localhost:\(node.port)"
        let (trusted, page) = try status([url, "--ca", certificate.certificate])
        #expect(trusted == 0 && page.contains(" ready "), "\(page)")
        let (distrusted, reason) = try status([url])
        #expect(distrusted == 1 && reason.contains("self-signed certificate"), "\(reason)")
        let (plain, words) = try status(["http://localhost:\(node.port)"])
        #expect(plain == 1 && words.contains("this port speaks TLS: use https://"), "\(words)")
    }

    @Test func `a hang-up has the files read anew, and the old ones are kept where the new are of no use`() throws {
        let folder = try TemporaryFolder()
        let node = try serve(folder)
        let client = try RawSocket(port: node.port, tls: TLSContext.client(authorityFile: certificate.certificate))
        node.kill(SIGHUP)
        #expect(try node.waitForLine(containing: "certificate reloaded").contains("ends="))
        try FileManager.default.removeItem(atPath: certificate.key)
        node.kill(SIGHUP)
        #expect(try node.waitForLine(containing: "not reloaded").contains("key.pem"))
        _ = try node.waitForLine(containing: "certificate=kept")
        try client.send(HTTPText.get("/health", ["Connection: close"]))
        #expect(try HTTPReply(client.receiveToEnd()).status == 200)
        node.kill(SIGTERM)
        #expect(try node.waitForExit() == 0)
    }

    @Test func `files that can't serve are refused before anything is opened, and named with their setting`() throws {
        let folder = try TemporaryFolder()
        for (settings, words) in [
            (
                ["CONVERGE_TLS_CERT": "/nowhere.pem", "CONVERGE_TLS_KEY": certificate.key],
                ["CONVERGE_TLS_CERT", "/nowhere"]
            ),
            (["CONVERGE_TLS_CERT": certificate.certificate], ["CONVERGE_TLS_KEY", "must be set"]),
            (
                ["CONVERGE_TLS_CERT": certificate.certificate, "CONVERGE_TLS_KEY": certificate.certificate],
                ["CONVERGE_TLS_KEY", "no private key"]
            ),
        ] {
            for check in [[], ["--check"]] {
                let process = try NodeProcess(
                    ["serve"] + check,
                    environment: settings.merging(["CONVERGE_DB_PATH": folder.path("no.db")]) { $1 })
                #expect(try process.waitForExit() == 2)
                #expect(words.allSatisfy { process.output.contains($0) }, "\(process.output)")
                #expect(!FileManager.default.fileExists(atPath: folder.path("no.db")))
            }
        }
    }

    private static let openssl = ["/usr/bin/openssl", "/usr/local/bin/openssl"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    @Test("OpenSSL's own client agrees", .enabled(if: openssl != nil))
    func other() throws {
        let folder = try TemporaryFolder()
        let node = try serve(folder)
        func run(_ words: [String]) throws -> String {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Self.openssl ?? "")
            process.arguments =
                ["s_client", "-connect", "localhost:\(node.port)", "-CAfile", certificate.certificate] + words
            let (input, output) = (Pipe(), Pipe())
            process.standardInput = input
            process.standardOutput = output
            process.standardError = output
            try process.run()
            try input.fileHandleForWriting.write(
                contentsOf: Data(HTTPText.get("/health", ["Connection: close"]).utf8))
            if words.contains("-quiet") == false { try input.fileHandleForWriting.close() }
            let bytes = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return String(decoding: bytes, as: UTF8.self)
        }
        let quiet = ["-quiet", "-verify_return_error", "-verify_hostname", "localhost"]
        for version in ["-tls1_2", "-tls1_3"] {
            let answer = try run(quiet + [version])
            #expect(answer.contains("HTTP/1.1 200 OK"), "\(answer)")
        }
        let told = try run(["-alpn", "h2,http/1.1"])
        #expect(told.contains("ALPN protocol: http/1.1"), "\(told)")
        #expect(told.contains("Secure Renegotiation IS") && told.contains("Compression: NONE"))
        let old = try run(["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"])
        #expect(old.contains("alert"), "\(old)")
    }
}

// The scripts of the project: asked how they are used they say so, and do nothing else.

import Foundation
import Testing

@Suite("The project's scripts")
struct ScriptsTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().appendingPathComponent("../../..").standardizedFileURL

    /// What can be run: a file with a first line that says by what, which may be executed.
    private static let scripts: [String] = {
        let folders = ["scripts", "scripts/bench", "cluster", "packaging", ".ci"]
        return folders.flatMap { folder -> [String] in
            let path = root.appendingPathComponent(folder).path
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            return names.map { "\(folder)/\($0)" }
        }.filter { name in
            let path = root.appendingPathComponent(name).path
            return access(path, X_OK) == 0
                && (try? String(contentsOfFile: path, encoding: .utf8))?.hasPrefix("#!") == true
        }.sorted()
    }()

    /// These hand what they do not know to a program that must be built first; that refuses it.
    private static let handOn = ["scripts/simulate.sh", "scripts/start_server.sh"]

    /// Programs that a script that only says how it is used has no business with.
    private static let forbidden = [
        "swift", "apt-get", "sudo", "pip", "git", "tmux", "initdb", "pgbouncer", "ip", "unshare", "mount", "curl",
        "make", "cc",
        "mktemp", "mkdir", "rm", "mv", "tee", "kill", "converge",
    ]

    /// A copy of what scripts could touch, with programs before the real ones that only note that they were called.
    private struct Copy {
        let folder: TemporaryFolder
        var tree: String { folder.path("tree") }
        private var called: String { folder.path("called") }

        init() throws {
            folder = try TemporaryFolder()
            let files = FileManager.default
            for name in ["bin", "home", "tmp", "tree/Sources/Terminal"] {
                try files.createDirectory(atPath: folder.path(name), withIntermediateDirectories: true)
            }
            for name in ["scripts", "cluster", "packaging", ".ci", "docs", "Package.swift", "Sources/Terminal/Text"] {
                try files.copyItem(
                    atPath: ScriptsTests.root.appendingPathComponent(name).path, toPath: "\(tree)/\(name)")
            }
            for program in ScriptsTests.forbidden {
                let path = folder.path("bin/\(program)")
                try "#!/bin/sh\necho \"\(program) $*\" >>'\(called)'\nexit 1\n".write(
                    toFile: path, atomically: true, encoding: .utf8)
                chmod(path, 0o755)
            }
        }

        /// Runs a script; it may take ten seconds.
        func run(_ script: String, _ words: [String]) throws -> (status: Int32, output: String, errors: String) {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
            process.arguments = ["-k", "1", "10", "\(tree)/\(script)"] + words
            process.environment = [
                "PATH": "\(folder.path("bin")):/usr/local/bin:/usr/bin:/bin", "HOME": folder.path("home"),
                "TMPDIR": folder.path("tmp"), "CONVERGE_CLUSTER_DIR": folder.path("tree/.cluster"),
                "PYTHONDONTWRITEBYTECODE": "1",
            ]
            process.currentDirectoryURL = URL(fileURLWithPath: tree)
            process.standardInput = FileHandle.nullDevice
            let (output, errors) = (Pipe(), Pipe())
            process.standardOutput = output
            process.standardError = errors
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            let complaints = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return (process.terminationStatus, text, complaints)
        }

        /// Each file with what is in it, also in the folders of the user and for what is temporary.
        var contents: [String: Data] {
            var found: [String: Data] = [:]
            for name in FileManager.default.enumerator(atPath: folder.url.path)?.allObjects as? [String] ?? []
            where name != "called" {
                found[name] = FileManager.default.contents(atPath: folder.path(name)) ?? Data()
            }
            return found
        }

        var calls: String { (try? String(contentsOfFile: called, encoding: .utf8)) ?? "" }
    }

    @Test("all of them are found")
    func found() {
        for name in [".ci/run", "cluster/up.sh", "scripts/test.sh", "scripts/width_table.sh", "scripts/bench/crdt.sh"] {
            #expect(Self.scripts.contains(name))
        }
    }

    @Test("asked for help, a script prints how it is used and ends with 0, having run and changed nothing")
    func help() throws {
        let copy = try Copy()
        let before = copy.contents
        for script in Self.scripts {
            for words in [["--help"], ["-h"]] {
                let (status, output, errors) = try copy.run(script, words)
                let first = output.split(separator: "\n").first ?? ""
                #expect(status == 0 && errors.isEmpty, "\(script) \(words): \(status) \(errors)")
                #expect(first.count > 20 && !first.hasPrefix("#"), "\(script) \(words) says at first: \(first)")
                let name = script.split(separator: "/").last ?? ""
                #expect(output.contains(name) || output.contains("bench.sh crdt"), "\(script) names itself: \(output)")
            }
        }
        #expect(copy.calls.isEmpty, "\(copy.calls)")
        #expect(copy.contents == before)
    }

    @Test("what is not understood is refused with 2 and how the script is used, before anything is done")
    func misused() throws {
        let copy = try Copy()
        let before = copy.contents
        for script in Self.scripts where !Self.handOn.contains(script) {
            let (status, output, errors) = try copy.run(script, ["--no-such-flag"])
            #expect(status == 2, "\(script): \(status) \(output) \(errors)")
            #expect(output.isEmpty && errors.count > 40, "\(script): \(output) \(errors)")
        }
        #expect(copy.calls.isEmpty, "\(copy.calls)")
        #expect(copy.contents == before)
    }

    @Test("git leaves out what a node that was started here leaves behind")
    func ignored() throws {
        // The sources may have come without their history.
        guard FileManager.default.fileExists(atPath: Self.root.appendingPathComponent(".git").path) else { return }
        for name in ["converge.db", "converge.db-wal", "converge.db-shm", "converge.db-journal", "converge.db-lock"] {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "git", "-c", "safe.directory=*", "-C", Self.root.path, "check-ignore", "--quiet", name,
            ]
            try process.run()
            process.waitUntilExit()
            // 127: there is no git; 128: not one that reads this.
            #expect(process.terminationStatus != 1, "\(name) is not ignored")
        }
    }
}

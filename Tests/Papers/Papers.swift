import ConvergeTestSupport

/// The papers of the project, and where in them each kind of fact has its home. CONTRIBUTING.md says the same in words.
enum Papers {
    /// What says how things are. The changelog is not among them: it says how they were.
    static let all: [Paper] = Repository.paths.filter { $0.hasSuffix(".md") && $0 != "CHANGELOG.md" }.map(read)
    static let changelog = read("CHANGELOG.md")

    /// Files that operators read and change: they name settings and commands, too.
    static let packaging =
        Repository.files(in: "packaging/", ".env", ".service", ".yml") + ["Dockerfile", "compose.yml"]

    static let architecture = read("ARCHITECTURE.md")
    static let contributing = read("CONTRIBUTING.md")
    static let chat = read("docs/chat.md")
    static let operations = read("docs/operations.md")
    static let peerProtocol = read("docs/peer-protocol.md")
    static let `protocol` = read("docs/protocol.md")

    /// One of them, by its path.
    static func paper(_ path: String) throws -> Paper {
        try (all + [changelog]).first { $0.path == path } ?? Paper(path)
    }

    private static func read(_ path: String) -> Paper {
        do { return try Paper(path) } catch { preconditionFailure("\(path): \(error)") }
    }

    /// The texts of all files of a kind below folders, by their paths.
    static func texts(in folders: [String], _ ending: String) throws -> [String: String] {
        var texts: [String: String] = [:]
        for folder in folders {
            for path in Repository.files(in: folder, ending) { texts[path] = try Repository.text(path) }
        }
        return texts
    }
}

extension Paper {
    /// All that stands as code: within lines and in blocks.
    var pieces: [Piece] { spans + code }
}

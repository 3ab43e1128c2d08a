import Foundation

/// The project's own folder, as tests read it that compare papers, sources and scripts with each other.
public enum Repository {
    public static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// - Parameter path: from the root: `docs/protocol.md`.
    public static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    /// Every file and folder, from the root, sorted; folders end with a slash. What is hidden or built is left out, but
    /// not `.ci`.
    public static let paths: [String] = {
        var found: [String] = []
        var waiting = [""]
        while let folder = waiting.popLast() {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path + "/" + folder)) ?? []
            for name in names where !name.hasPrefix(".") || name == ".ci" {
                var isFolder: ObjCBool = false
                _ = FileManager.default.fileExists(atPath: root.path + "/" + folder + name, isDirectory: &isFolder)
                found.append(folder + name + (isFolder.boolValue ? "/" : ""))
                if isFolder.boolValue { waiting.append(folder + name + "/") }
            }
        }
        return found.sorted()
    }()

    /// The files below a folder whose names end so.
    public static func files(in folder: String, _ endings: String...) -> [String] {
        paths.filter { path in path.hasPrefix(folder) && endings.contains { path.hasSuffix($0) } }
    }
}

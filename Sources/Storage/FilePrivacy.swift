import Glibc

/// Whether others on the machine can open a database's files. Who can open them can read all that is stored, hold up commits
/// by a transaction that never ends, and keep the node from starting by its lock: so the files are their owner's alone.
public enum FilePrivacy: Hashable, Sendable {
    case kept
    /// Others could open them, and can't any more.
    case tightened
    /// Others can, and it is not this user's to change; with the first file of which that is so.
    case exposed(String)

    /// Takes from everybody but their owners what they may do with these files; those that are not there are left out.
    static func enforce(_ paths: [String]) -> FilePrivacy {
        var privacy = FilePrivacy.kept
        for path in paths {
            var found = stat()
            // By name: closing a descriptor of a database's file would drop the locks that SQLite has on it.
            guard stat(path, &found) == 0, found.st_mode & 0o077 != 0 else { continue }
            guard chmod(path, found.st_mode & 0o700) == 0 else { return .exposed(path) }
            privacy = .tightened
        }
        return privacy
    }
}

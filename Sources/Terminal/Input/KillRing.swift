/// What was cut, for putting it back (readline's kill ring): the newest first, at most `limit` pieces.
///
/// Cuts that follow each other without anything between them are one piece.
struct KillRing: Hashable, Sendable {
    static let limit = 32

    private(set) var pieces: [[Character]] = []
    private var isOpen = false
    private var turn = 0

    /// - Parameter before: cut from before the cursor: it stands before what was cut just before.
    mutating func kill(_ piece: [Character], before: Bool) {
        guard !piece.isEmpty else { return }
        if isOpen, let first = pieces.first {
            pieces[0] = before ? piece + first : first + piece
        } else {
            pieces.insert(piece, at: 0)
            if pieces.count > Self.limit { pieces.removeLast() }
        }
        isOpen = true
        turn = 0
    }

    /// Something else was done: the next cut is a piece of its own.
    mutating func close() { isOpen = false }

    /// The newest piece.
    mutating func yank() -> [Character]? {
        turn = 0
        return pieces.first
    }

    /// The piece after the one that was given last, in a circle.
    mutating func next() -> [Character]? {
        guard !pieces.isEmpty else { return nil }
        turn = (turn + 1) % pieces.count
        return pieces[turn]
    }
}

/// Completing a word by Tab: the first Tab puts in what all candidates have in common, each further one the next of them.
///
/// A value beside the editor: it knows which part of the text it has put in, and is dropped at any other key.
struct Completion: Hashable, Sendable {
    /// What may be written here, and what goes behind it.
    struct Candidates: Hashable, Sendable {
        /// In the order in which they are offered.
        var words: [String]
        var suffix: String
    }

    private let words: [String]
    private let suffix: String
    private var range: Range<Int>
    private var index: Int?

    /// - Parameter word: where in the text the word is that is begun.
    /// - Returns: nil where there is nothing to complete.
    init?(_ candidates: Candidates, in editor: inout LineEditor, word: Range<Int>) {
        let begun = String(editor.text[word])
        let folded = begun.lowercased()
        words = candidates.words.filter { $0.lowercased().hasPrefix(folded) }
        suffix = candidates.suffix
        range = word
        guard let first = words.first else { return nil }
        if words.count == 1 {
            put(first + suffix, &editor)
            index = 0
        } else {
            let common = words.dropFirst().reduce(first) { Self.commonPrefix($0, $1) }
            if common.count > begun.count { put(common, &editor) } else { step(by: 1, in: &editor) }
        }
    }

    /// More than one word fits: the offer is worth showing.
    var offer: [String] { words.count > 1 ? words : [] }
    /// Which of them stands in the text.
    var chosen: String? { index.map { words[$0] } }

    /// The next candidate, or the one before.
    mutating func step(by direction: Int, in editor: inout LineEditor) {
        let next = (index.map { $0 + direction } ?? (direction > 0 ? 0 : words.count - 1) + words.count) % words.count
        index = next < 0 ? next + words.count : next
        put(words[index ?? 0] + suffix, &editor)
    }

    private mutating func put(_ text: String, _ editor: inout LineEditor) {
        guard editor.replace(range, with: text) == .edited else { return }
        range = range.lowerBound..<editor.cursor
    }

    private static func commonPrefix(_ a: String, _ b: String) -> String {
        var common = ""
        for (x, y) in zip(a, b) {
            guard x.lowercased() == y.lowercased() else { break }
            common.append(x)
        }
        return common
    }
}

/// Where a message names its reader: the user's id or name as a whole word, with or without `@`, in any case.
enum Mentions {
    /// - Returns: the ranges of the names, with their `@`.
    static func ranges(of names: [String], in body: String) -> [Range<String.Index>] {
        let letters = body.lowercased()
        // Lower case may have another length than upper case; then positions mean nothing, and only equality is asked.
        guard letters.count == body.count else { return [] }
        var found: [Range<String.Index>] = []
        for name in Set(names.map { $0.lowercased() }).sorted() where !name.isEmpty {
            var from = letters.startIndex
            while let range = letters[from...].firstRange(of: name) {
                from = letters.index(after: range.lowerBound)
                guard isEdge(letters, before: range.lowerBound), isEdge(letters, after: range.upperBound) else {
                    continue
                }
                var start = letters.distance(from: letters.startIndex, to: range.lowerBound)
                if start > 0, letters[letters.index(before: range.lowerBound)] == "@" { start -= 1 }
                let end = letters.distance(from: letters.startIndex, to: range.upperBound)
                let lower = body.index(body.startIndex, offsetBy: start)
                found.append(lower..<body.index(body.startIndex, offsetBy: end))
            }
        }
        found.sort { $0.lowerBound < $1.lowerBound }
        return found.reduce(into: []) { kept, range in
            if let last = kept.last, last.overlaps(range) { return }
            kept.append(range)
        }
    }

    /// Whether there are any; quick for the many messages that name nobody.
    static func contains(anyOf names: [String], in body: String) -> Bool {
        let candidates = names.filter { !$0.isEmpty && mayContain($0, body) }
        return !candidates.isEmpty && !ranges(of: candidates, in: body).isEmpty
    }

    /// False only where the name is not there: compares bytes, taking upper and lower case of ASCII for the same.
    private static func mayContain(_ name: String, _ body: String) -> Bool {
        guard name.utf8.allSatisfy({ $0 < 0x80 }) else { return true }
        let wanted = name.utf8.map { $0 | 0x20 }
        var body = body
        return body.withUTF8 { bytes in
            guard bytes.count >= wanted.count else { return false }
            var at = 0
            while at <= bytes.count - wanted.count {
                var length = 0
                while length < wanted.count, bytes[at + length] | 0x20 == wanted[length] { length += 1 }
                if length == wanted.count { return true }
                at += 1
            }
            return false
        }
    }

    private static func isEdge(_ text: String, before index: String.Index) -> Bool {
        index == text.startIndex || !isPart(text[text.index(before: index)])
    }

    private static func isEdge(_ text: String, after index: String.Index) -> Bool {
        index == text.endIndex || !isPart(text[index])
    }

    private static func isPart(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_"
    }
}

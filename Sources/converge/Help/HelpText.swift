/// A help text taken apart: what manual pages and completions are made from, so that each fact is written once.
///
/// A help text is lines in paragraphs:
///
/// ```
/// converge token USER [--expires 24h]        the first paragraph: how it is called
///
/// Prints a token for USER.                   a paragraph
///
/// Listening:                                 a heading, right before a list
///   --port    PORT    listen port [8080]     an item: flags, the variable that says the same, what it means
///   --expires DURATION    how long           an item: a flag with its argument, what it means
///                     it is good for         more of what it means
/// ```
///
/// Columns are at least two spaces apart.
struct HelpText: Equatable {
    struct Item: Equatable {
        /// As written: `--ca FILE`, `--adapter, --db-adapter`, `URL`, `(no flag)`.
        var term: String
        /// The environment variable that says the same; only settings have one in their list.
        var variable: String?
        var meaning: String
    }

    enum Block: Equatable {
        case paragraph(String)
        case heading(String)
        case items([Item])
    }

    private(set) var synopsis: [String] = []
    private(set) var blocks: [Block] = []

    init(_ text: String) {
        var isFirst = true
        for lines in Self.paragraphs(of: text) {
            if isFirst {
                synopsis = lines
                isFirst = false
                continue
            }
            var prose: [Substring] = []
            var items: [Item] = []
            for line in lines.map({ Substring($0) }) {
                guard line.hasPrefix("  ") else {
                    prose.append(line)
                    continue
                }
                if let item = Self.item(line) {
                    items.append(item)
                } else if let last = items.indices.last {
                    items[last].meaning += " " + Self.trimmed(line)
                }
            }
            if let last = prose.last, last.hasSuffix(":"), !items.isEmpty, prose.count == 1 {
                blocks.append(.heading(String(last.dropLast())))
            } else if !prose.isEmpty {
                blocks.append(.paragraph(prose.joined(separator: " ")))
            }
            if !items.isEmpty { blocks.append(.items(items)) }
        }
    }

    var items: [Item] {
        blocks.flatMap { block -> [Item] in
            guard case .items(let items) = block else { return [] }
            return items
        }
    }

    /// Empty lines part paragraphs.
    private static func paragraphs(of text: String) -> [[String]] {
        var paragraphs: [[String]] = [[]]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if !line.isEmpty {
                paragraphs[paragraphs.count - 1].append(String(line))
            } else if paragraphs.last != [] {
                paragraphs.append([])
            }
        }
        return paragraphs.filter { !$0.isEmpty }
    }

    /// An item begins two spaces in; what is further in goes on with the one before.
    private static func item(_ line: Substring) -> Item? {
        let text = line.dropFirst(2)
        guard let first = text.first, first != " " else { return nil }
        var columns = columns(of: text)
        let term = columns.removeFirst()
        var variable: String?
        if columns.count > 1, columns[0].allSatisfy({ $0.isUppercase || $0 == "_" }) {
            variable = columns.removeFirst()
        }
        return Item(term: term, variable: variable, meaning: columns.joined(separator: "  "))
    }

    private static func columns(of text: Substring) -> [String] {
        var columns: [String] = []
        var rest = text
        while !rest.isEmpty {
            var end = rest.startIndex
            while end < rest.endIndex, !rest[end...].hasPrefix("  ") { end = rest.index(after: end) }
            columns.append(String(rest[..<end]))
            rest = rest[end...].drop { $0 == " " }
        }
        return columns
    }

    private static func trimmed(_ line: Substring) -> Substring { line.drop { $0 == " " } }
}

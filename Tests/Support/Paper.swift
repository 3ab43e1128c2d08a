import Foundation

/// A paper of the project, or a section of one, taken apart as far as tests need it: what stands in it as code, its links,
/// headings and tables. It knows the part of Markdown that the papers use.
public struct Paper: Sendable {
    public struct Piece: Hashable, Sendable, CustomStringConvertible {
        public let text: String
        /// Where it is: `docs/protocol.md:12`.
        public let place: String

        public var description: String { "\(place): \(text)" }
    }

    public struct Row: Sendable {
        public let cells: [String]
        public let place: String

        /// What stands as code in a cell; nothing where there is no such cell.
        public func code(in cell: Int) -> [String] {
            guard cells.indices.contains(cell) else { return [] }
            return cells[cell].matches(of: /`([^`]+)`/).map { String($0.1) }
        }
    }

    public let path: String
    public let lines: [String]
    /// The number of the first line.
    private let first: Int

    /// Between backticks, within a line or over two.
    public private(set) var spans: [Piece] = []
    /// The lines of blocks of code.
    public private(set) var code: [Piece] = []
    /// The targets of links and pictures.
    public private(set) var links: [Piece] = []
    public private(set) var headings: [Piece] = []
    /// The tables: rows that follow each other, the first two of which should be a head and its rule.
    public private(set) var tables: [[Row]] = []
    /// The rows of all tables, their heads included.
    public var rows: [Row] { Array(tables.joined()) }
    /// Where a backtick has no other.
    public private(set) var unpaired: [String] = []

    public init(_ path: String) throws {
        self.init(path, try Repository.text(path).components(separatedBy: "\n"), first: 1)
    }

    private init(_ path: String, _ lines: [String], first: Int) {
        self.path = path
        self.lines = lines
        self.first = first
        read()
    }

    public var text: String { lines.joined(separator: "\n") }

    /// What stands below a heading, up to the next of its level or above.
    public func section(_ heading: String) throws -> Paper {
        guard let start = lines.firstIndex(where: { Self.level($0) > 0 && Self.title($0) == heading }) else {
            throw NoSuchSection(path: path, heading: heading)
        }
        let level = Self.level(lines[start])
        let end = lines[(start + 1)...].firstIndex { (1...level).contains(Self.level($0)) } ?? lines.endIndex
        return Paper(path, Array(lines[(start + 1)..<end]), first: first + start + 1)
    }

    public struct NoSuchSection: Error { public let path, heading: String }

    /// What links to headings name, as GitHub makes it of their text.
    public var anchors: Set<String> {
        var anchors: Set<String> = []
        for heading in headings {
            let plain = heading.text.replacing(/\[([^\]]*)\]\([^)]*\)/) { $0.1 }
            let kept = plain.lowercased().filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
            let anchor = kept.replacing(" ", with: "-")
            var unique = anchor
            var count = 0
            while !anchors.insert(unique).inserted {
                count += 1
                unique = "\(anchor)-\(count)"
            }
        }
        return anchors
    }

    // MARK: Reading

    private static func level(_ line: String) -> Int {
        let marks = line.prefix { $0 == "#" }.count
        return line.dropFirst(marks).hasPrefix(" ") && marks <= 6 ? marks : 0
    }

    private static func title(_ line: String) -> String {
        String(line.drop { $0 == "#" }.drop { $0 == " " })
    }

    private func place(_ index: Int) -> String { "\(path):\(first + index)" }

    private mutating func read() {
        var isFenced = false
        var paragraph: [(index: Int, line: String)] = []
        func isIndented(_ index: Int) -> Bool {
            lines[index].hasPrefix("    ") && (index == 0 || lines[index - 1].isEmpty)
        }
        for (index, line) in lines.enumerated() {
            if line.hasPrefix("```") {
                finish(&paragraph)
                isFenced.toggle()
            } else if isFenced || isIndented(index) {
                code.append(Piece(text: line, place: place(index)))
            } else if line.isEmpty {
                finish(&paragraph)
            } else if Self.level(line) > 0 {
                finish(&paragraph)
                headings.append(Piece(text: Self.title(line), place: place(index)))
                paragraph = [(index, line)]
                finish(&paragraph)
            } else if line.hasPrefix("|") {
                finish(&paragraph)
                let row = Row(cells: Self.cells(line), place: place(index))
                if index > 0, lines[index - 1].hasPrefix("|"), !tables.isEmpty {
                    tables[tables.count - 1].append(row)
                } else {
                    tables.append([row])
                }
                paragraph = [(index, line)]
                finish(&paragraph)
            } else {
                paragraph.append((index, line))
            }
        }
        finish(&paragraph)
        if isFenced { unpaired.append(place(lines.count - 1)) }
    }

    /// Takes the spans of code and the links out of the lines that belong together.
    private mutating func finish(_ paragraph: inout [(index: Int, line: String)]) {
        defer { paragraph = [] }
        var prose = ""
        var span: (text: String, index: Int)?
        var places: [(offset: Int, index: Int)] = []
        for (number, (index, line)) in paragraph.enumerated() {
            if number > 0 { if span != nil { span?.text += " " } else { prose += " " } }
            places.append((prose.count, index))
            for character in line {
                if character == "`" {
                    if let (text, start) = span {
                        spans.append(Piece(text: text, place: place(start)))
                        span = nil
                    } else {
                        span = ("", index)
                    }
                } else if span != nil {
                    span?.text.append(character)
                } else {
                    prose.append(character)
                }
            }
        }
        if let (_, index) = span { unpaired.append(place(index)) }
        for match in prose.matches(of: /\]\(([^)\s]+)\)/) {
            let offset = prose.distance(from: prose.startIndex, to: match.range.lowerBound)
            let index = places.last { $0.offset <= offset }?.index ?? 0
            links.append(Piece(text: String(match.1), place: place(index)))
        }
    }

    /// The cells of a row: what stands between bars that are not escaped. One in code parts cells, too.
    private static func cells(_ line: String) -> [String] {
        var cells: [String] = [""]
        var isEscaped = false
        for character in line.dropFirst() {
            if character == "|", isEscaped {
                cells[cells.count - 1].removeLast()
                cells[cells.count - 1].append("|")
            } else if character == "|" {
                cells.append("")
            } else {
                cells[cells.count - 1].append(character)
            }
            isEscaped = character == "\\"
        }
        if cells.last?.allSatisfy(\.isWhitespace) == true { cells.removeLast() }
        return cells.map { $0.trimmingCharacters(in: .whitespaces) }
    }
}

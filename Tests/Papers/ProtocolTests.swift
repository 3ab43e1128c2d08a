import ConvergeTestSupport
import Testing

@testable import ConvergeNode
@testable import ConvergeWire

/// What clients, nodes and HTTP say to each other, by name: compared with what reads and writes it.
@Suite("Papers: the protocols") struct ProtocolTests {
    /// The types that the reader of client frames knows.
    private static func commands() throws -> Set<String> {
        let decoder = try Repository.text("Sources/Wire/ClientFrameDecoder.swift")
        // The first frame of a connection is read by a reader of its own.
        return Set(decoder.matches(of: /type\.equals\("([a-z_]+)"\)/).map { String($0.1) }).union(["auth"])
    }

    /// The types that the writers of server frames give out.
    private static func events() throws -> Set<String> {
        var types: Set<String> = []
        for text in try Papers.texts(in: ["Sources/Wire/"], ".swift").values {
            for match in text.matches(of: /begin(?:Frame|Entry)\([^"\n]*"([a-z_]+)"/) { types.insert(String(match.1)) }
            for match in text.matches(of: /\(type, \w+\) = \("([a-z_]+)"/) { types.insert(String(match.1)) }
        }
        // A kind of document has frames of its own in its form.
        for text in try Papers.texts(in: ["Sources/Wire/Documents/"], ".swift").values {
            for match in text.matches(of: /"(crdt_[a-z_]+)"/) { types.insert(String(match.1)) }
        }
        return types
    }

    /// What `converge chat --json` says itself, beside frames of the protocol.
    private static func own() throws -> Set<String> {
        let rows = try Papers.chat.section("Lines and scripts").rows
        guard let head = rows.firstIndex(where: { $0.cells.first == "`type`" }) else { return [] }
        return Set(rows[head...].dropFirst().prefix { $0.cells.count == 3 }.flatMap { $0.code(in: 0) })
    }

    private static func isKnown(_ type: String) -> Bool {
        let text = #"{"type":"\#(type)","amount":1,"cursor":{},"kind":"set","op":"add","value":"","token":""}"#
        return Array(text.utf8).withUnsafeBytes { bytes in
            ProtocolGeneration.allCases.contains { generation in
                do throws(ClientFrameError) {
                    _ = try ClientFrame.decode(bytes, as: generation)
                    return true
                } catch {
                    return type == "auth" && AuthFrame.token(bytes) != nil
                }
            }
        }
    }

    @Test("the table of what a client sends has every type that is read, and no other")
    func clientTypes() throws {
        let rows = try Papers.protocol.section("What a client sends").rows
        let named = rows.dropFirst().flatMap { $0.code(in: 0) }
        let read = try Self.commands()
        #expect(read.count >= 15)
        #expect(named.sorted() == read.sorted())
        for type in named { #expect(Self.isKnown(type), "\(type)") }
        #expect(!Self.isKnown("nonsense"))
    }

    @Test("the table of what a client gets has every type that is written, and no other")
    func serverTypes() throws {
        let rows = try Papers.protocol.section("What a client gets").rows
        let named = rows.dropFirst().flatMap { $0.code(in: 0) }
        let written = try Self.events()
        #expect(written.count >= 17)
        #expect(named.sorted() == written.sorted())
    }

    @Test("every type of a frame that a paper shows exists")
    func shown() throws {
        let known = try Self.commands().union(Self.events()).union(Self.own()).union(["nonsense"])
        var seen = 0
        for paper in Papers.all {
            for piece in paper.pieces {
                for match in piece.text.matches(of: /"?type"?[:=]=? ?"([a-z_]+)"/) {
                    seen += 1
                    #expect(known.contains(String(match.1)), "\(piece)")
                }
                guard piece.text.wholeMatch(of: /crdt_[a-z_]+/) != nil else { continue }
                #expect(known.contains(piece.text), "\(piece)")
            }
        }
        #expect(seen > 30)
    }

    @Test("the table of errors has every error that is written, and no other")
    func errors() throws {
        let named = try Papers.protocol.section("Errors").rows.dropFirst(2).flatMap { $0.code(in: 0) }
        #expect(named.sorted() == ErrorCode.allCases.map { "\($0.word)" }.sorted())
        let words = try Papers.protocol.section("Errors").rows.dropFirst(2).flatMap { $0.code(in: 1) }
        #expect(Set(words.map { String($0.prefix { $0 != ":" }) }) == Set(ErrorCode.allCases.map(\.text.string)))
    }

    @Test("the table of HTTP requests has every path that is answered, and no other; so has every other paper")
    func endpoints() throws {
        let admission = try Repository.text("Sources/Node/HTTP/Admission.swift")
        let answered = Set(admission.matches(of: /hasPath\("(\/[a-z]+)"\)/).map { String($0.1) })
        let rows = try Papers.protocol.section("HTTP").rows
        let named = Set(
            rows.flatMap { $0.code(in: 0) }.filter { $0.hasPrefix("GET /") }.map { String($0.dropFirst(4)) })
        #expect(answered.count >= 6)
        #expect(named == answered)
        for paper in Papers.all {
            for span in paper.spans {
                guard let match = span.text.firstMatch(of: /^(?:GET|HEAD|POST|PUT|DELETE) (\/[a-z]+)/) else { continue }
                #expect(answered.contains(String(match.1)), "\(span)")
            }
        }
    }

    @Test("the table of frames between nodes has each kind with its number, and no other")
    func peerFrames() throws {
        let rows = try Papers.peerProtocol.section("Frames").rows
        var named: [UInt8: String] = [:]
        for row in rows {
            guard let number = UInt8(row.cells[0]) else { continue }
            named[number] = row.cells[1]
        }
        for number in UInt8.min...UInt8.max {
            let name = PeerFrameKind(rawValue: number).map { kind in
                "\(kind)".reduce(into: "") { $0 += $1.isUppercase ? " " + $1.lowercased() : String($1) }
            }
            #expect(named[number] == name, "kind \(number)")
        }
    }
}

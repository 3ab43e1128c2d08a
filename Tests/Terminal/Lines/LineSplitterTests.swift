import Testing

@testable import ConvergeTerminal

@Suite("Input cut into lines")
struct LineSplitterTests {
    @Test("lines come out whole however the bytes are cut")
    func splitting() {
        let text = "one\r\ntwo\n\nthree é"
        for size in 1...text.utf8.count {
            var splitter = LineSplitter()
            var lines: [LineSplitter.Line] = []
            let bytes = Array(text.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                lines += splitter.feed(bytes[start..<min(start + size, bytes.count)])
            }
            if let last = splitter.finish() { lines.append(last) }
            #expect(lines == [.text("one"), .text("two"), .text(""), .text("three é")], "pieces of \(size)")
        }
    }

    @Test("a line over the limit is dropped, the next one is not")
    func long() {
        var splitter = LineSplitter(limit: 4)
        #expect(splitter.feed("abcde\nabcd\n".utf8) == [.tooLong, .text("abcd")])
        #expect(splitter.feed("abcdefgh".utf8).isEmpty)
        #expect(splitter.finish() == .tooLong)
        #expect(splitter.finish() == nil)
    }
}

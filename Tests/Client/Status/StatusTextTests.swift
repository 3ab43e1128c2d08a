import ConvergeClient
import Testing

@Suite("Status: what is printed")
struct StatusTextTests {
    private func page(_ answers: [NodeAnswer]) -> String { StatusText.page(answers, ClusterVerdict(answers)) }

    @Test("three nodes fit on 80 columns")
    func page() {
        let page = page(StatusSamples.whole())
        #expect(page.hasSuffix("\nwhole; documents equal\n"))
        #expect(page.contains("n1    ready  1.2.3       12      3     2       10  00000000\n"))
        #expect(page.contains("n2 00000000     20     20     20\n"))
        #expect(page.contains("\nn1    n2    alive 61s  2h    -           -           -3 ms\n"))
    }

    @Test("long names and large numbers still fit, and more than five nodes are put below each other")
    func wide() {
        let name = String(repeating: "long-name-", count: 6)
        let answers = (1...7).map { number in
            let peers = (1...7).filter { $0 != number }.map {
                StatusSamples.Peer(
                    number: $0, state: "suspect", lacks: (12_345_678, 99_000), leads: (1, 1), name: "\(name)\($0)")
            }
            return StatusSamples.answer(
                StatusSamples.json(number, name: "\(name)\(number)", seqs: [1: 123_456_789], peers: peers))
        }
        let page = page(answers)
        let tables = page.components(before: "not whole")
        #expect(tables.filter { $0.utf8.count > 80 } == [])
        #expect(page.split(separator: "\n").count { $0.hasPrefix("LOG OF") } == 2)
    }

    @Test("a node that does not answer, and what is wrong, stand in the page")
    func problems() {
        let missing = NodeAnswer(url: "http://x:1", outcome: .failed("no answer in time"))
        let page = page(StatusSamples.whole() + [missing])
        #expect(page.contains("\nhttp://x:1  no answer\n"))
        #expect(page.hasSuffix("\nnot whole; documents equal\n  http://x:1: no answer in time\n"))
        #expect(
            self.page([missing])
                == "NODE  STATE  VERSION  CONNS  ROOMS  DOCS  OWN LOG  DOCUMENTS\nhttp://x:1  no answer\n\nnot whole\n  http://x:1: no answer in time\n"
        )
    }

    @Test("nothing that a name holds is obeyed by a terminal, in either form")
    func escaped() {
        let name = "\\u001b[2J\\u0007\u{9B}31m\u{202E}\\n"
        let json = StatusSamples.json(
            1, name: name, state: "ready\\u001b", peers: [.init(number: 2, state: "x\\u001b]0;", name: name)])
        let answers = [StatusSamples.answer(json)]
        #expect(answers[0].report?.name.contains("\u{1B}") == true)
        for text in [page(answers), StatusJSON.text(answers, ClusterVerdict(answers))] {
            #expect(text.utf8.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x0A })
            #expect(text.contains("1b") || text.contains("1B"))
        }
    }

    @Test("the JSON form holds the verdict and each answer whole")
    func json() throws {
        let missing = NodeAnswer(url: "http://x:1", outcome: .failed("no \"answer\""))
        let answers = [StatusSamples.whole()[0], missing]
        let text = StatusJSON.text(answers, ClusterVerdict(answers))
        #expect(
            text.hasPrefix(#"{"whole":false,"documents":"alone","problems":["http://x:1: no \"answer\""],"nodes":["#))
        #expect(text.contains(#"{"url":"http://h:n1","age":0,"answer":{"node":"n1","#))
        #expect(text.hasSuffix(#",{"url":"http://x:1","error":"no \"answer\""}]}"# + "\n"))
        #expect(text.split(separator: "\n").count == 1)
    }

    @Test("what is no status is refused: other JSON, half of it, too deep, numbers that are none")
    func unreadable() {
        let whole = Array(StatusSamples.json(1, peers: [.init(number: 2)]).utf8)
        #expect((try? NodeReport(json: whole)) != nil)
        var readable: [Int] = []
        for length in whole.indices where (try? NodeReport(json: Array(whole[..<length]))) != nil {
            readable.append(length)
        }
        #expect(readable == [])
        for text in [
            "", "{}", "[]", "null", #"{"node":"x"}"#, #"{"node":1,"state":"ready"}"#,
            #"{"node":"x","state":"ready","replica":"7"}"#, #"{"node":"x","state":"ready","rooms":1e99}"#,
            #"{"node":"x","state":"ready","logs":[{}]}"#,
        ] {
            #expect((try? NodeReport(json: Array(text.utf8))) == nil, "\(text)")
        }
    }
}

extension String {
    /// The lines before the one that begins so.
    fileprivate func components(before prefix: String) -> [Substring] {
        Array(split(separator: "\n").prefix { !$0.hasPrefix(prefix) })
    }
}

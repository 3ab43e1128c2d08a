import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

@Suite struct DocumentsTests {
    private let list = DocumentID(room: "dev", kind: .orSet, name: "list")
    private let topic = DocumentID(room: "dev", kind: .register, name: "topic")

    private func dot(_ replica: UInt64, _ seq: UInt64) -> Dot { Dot(replica: ReplicaID(rawValue: replica), seq: seq) }
    private func time(_ milliseconds: UInt64) -> HybridTimestamp { HybridTimestamp(milliseconds: milliseconds) }

    @discardableResult
    private func add(
        _ element: Text, to document: DocumentID, _ dot: Dot, of documents: inout Documents
    ) throws -> DocumentDelta {
        let delta = try documents.deltaForAdd(element, to: document)
        #expect(documents.apply(delta, to: document, dot: dot, timestamp: time(dot.seq)) == .asWritten)
        return delta
    }

    // MARK: OR-Sets

    @Test("an add takes the place of the dots that its writer saw")
    func replaces() throws {
        var documents = Documents()
        #expect(try add("milk", to: list, dot(1, 1), of: &documents) == .add(element: "milk", replacing: []))
        #expect(try add("milk", to: list, dot(1, 2), of: &documents) == .add(element: "milk", replacing: [dot(1, 1)]))
        #expect(documents.deltaForRemove("milk", from: list) == .remove(element: "milk", observed: [dot(1, 2)]))
        #expect(documents.elements(of: list) == ["milk"])
        #expect(documents.elementCount == 1)
    }

    @Test("elements come sorted by their bytes, and are equal only byte by byte")
    func sorted() throws {
        var documents = Documents()
        let elements: [Text] = ["b", "a", "\u{E9}", "e\u{301}", "B", "", "aa"]
        for (seq, element) in elements.enumerated() {
            try add(element, to: list, dot(1, UInt64(seq) + 1), of: &documents)
        }
        #expect(documents.elements(of: list) == ["", "B", "a", "aa", "b", "e\u{301}", "\u{E9}"])
    }

    @Test("a remove takes the dots that its writer saw; of nothing it is a remove all the same")
    func removes() throws {
        var documents = Documents()
        try add("milk", to: list, dot(1, 1), of: &documents)
        let delta = documents.deltaForRemove("milk", from: list)
        #expect(documents.apply(delta, to: list, dot: dot(1, 2), timestamp: time(2)) == .asWritten)
        #expect(documents.elements(of: list) == [])
        let nothing = documents.deltaForRemove("milk", from: list)
        #expect(nothing == .remove(element: "milk", observed: []))
        #expect(documents.apply(nothing, to: list, dot: dot(1, 3), timestamp: time(3)) == .asWritten)
        #expect(documents.documentCount == 0 && documents.elementCount == 0)
    }

    @Test("a remove concurrent with an add leaves the element, and shows nothing")
    func survives() throws {
        var documents = Documents()
        try add("milk", to: list, dot(1, 1), of: &documents)
        let unseen = documents.deltaForRemove("milk", from: list)
        // Another replica adds without having seen the first add.
        let concurrent = DocumentDelta.add(element: "milk", replacing: [])
        #expect(documents.apply(concurrent, to: list, dot: dot(2, 1), timestamp: time(2)) == .asWritten)
        #expect(documents.apply(unseen, to: list, dot: dot(3, 1), timestamp: time(3)) == .hidden)
        #expect(documents.deltaForRemove("milk", from: list) == .remove(element: "milk", observed: [dot(2, 1)]))
    }

    // MARK: Registers

    @Test("the last write stands, by time and then by replica; a lost one says what stands")
    func registers() throws {
        var documents = Documents()
        func set(_ value: Text?, _ dot: Dot, at moment: UInt64) throws -> DocumentShown {
            let delta = try documents.deltaForSet(value, in: topic)
            #expect(delta == .set(value: value))
            return documents.apply(delta, to: topic, dot: dot, timestamp: time(moment))
        }
        #expect(documents.text(of: topic) == nil)
        #expect(try set("one", dot(2, 1), at: 10) == .asWritten)
        #expect(try set("early", dot(3, 1), at: 9) == .hidden)
        #expect(try set("lesser", dot(1, 1), at: 10) == .hidden)
        #expect(try set("greater", dot(3, 2), at: 10) == .asWritten)
        #expect(try set(nil, dot(1, 2), at: 11) == .asWritten)
        #expect(try set("late", dot(2, 2), at: 10) == .hidden)
        #expect(documents.text(of: topic) == nil)
    }

    @Test("sets and registers of one name, and documents of two rooms, are different documents")
    func separate() throws {
        var documents = Documents()
        let register = DocumentID(room: "dev", kind: .register, name: "list")
        let elsewhere = DocumentID(room: "ops", kind: .orSet, name: "list")
        try add("milk", to: list, dot(1, 1), of: &documents)
        _ = documents.apply(.set(value: "bread"), to: register, dot: dot(1, 2), timestamp: time(2))
        #expect(documents.elements(of: list) == ["milk"])
        #expect(documents.text(of: register) == "bread")
        #expect(documents.elements(of: elsewhere) == [])
        #expect(documents.documentCount == 2)
    }

    // MARK: Loading

    private func cell(_ document: DocumentID, _ value: Text?, _ dot: Dot, at moment: UInt64) -> StoredCell {
        let delta = document == list ? DocumentDelta.add(element: value ?? "", replacing: []) : .set(value: value)
        return StoredCell(delta.change(of: document, dot: dot, timestamp: time(moment)).put[0], of: document)
    }

    @Test("loads stored cells in any order: every dot of an element, the last write of a register")
    func loads() {
        let rows: [(DocumentID, Text?, Dot, UInt64)] = [
            (list, "milk", dot(1, 1), 1), (list, "milk", dot(2, 1), 1), (list, "bread", dot(1, 2), 2),
            (topic, "old", dot(1, 3), 3), (topic, "new", dot(2, 2), 4),
        ]
        for order in [rows, rows.reversed()] {
            var documents = Documents()
            for (document, value, dot, moment) in order {
                documents.load(cell(document, value, dot, at: moment))
            }
            #expect(documents.elements(of: list) == ["bread", "milk"])
            #expect(
                documents.deltaForRemove("milk", from: list)
                    == .remove(element: "milk", observed: [dot(1, 1), dot(2, 1)]))
            #expect(documents.text(of: topic) == "new")
            #expect(documents.documentCount == 2 && documents.elementCount == 2)
            #expect(documents.unsettledCount == 0)
        }
    }

    @Test("a cleared register that is loaded keeps older writes away")
    func loadsCleared() {
        var documents = Documents()
        documents.load(cell(topic, nil, dot(1, 5), at: 5))
        let change = documents.apply(.set(value: "late"), to: topic, dot: dot(2, 1), timestamp: time(4))
        #expect(change == .hidden)
    }

    // MARK: Limits

    @Test("one element more than a document may have is refused; one that is there already is not")
    func elementLimit() throws {
        var documents = Documents(limits: DocumentLimits(documentsPerRoom: 10, elementsPerDocument: 2))
        try add("a", to: list, dot(1, 1), of: &documents)
        try add("b", to: list, dot(1, 2), of: &documents)
        #expect(throws: DocumentRefusal.documentFull) { try documents.deltaForAdd("c", to: list) }
        try add("a", to: list, dot(1, 3), of: &documents)
        // What the log brings is applied all the same.
        let foreign = DocumentDelta.add(element: "c", replacing: [])
        #expect(documents.apply(foreign, to: list, dot: dot(2, 1), timestamp: time(1)) == .asWritten)
        #expect(documents.elements(of: list) == ["a", "b", "c"])
        for element in ["b", "c"] as [Text] {
            _ = documents.apply(
                documents.deltaForRemove(element, from: list), to: list, dot: dot(1, 4), timestamp: time(4))
        }
        try add("d", to: list, dot(1, 5), of: &documents)
    }

    @Test("one document more than a room may have is refused; an emptied set makes room, a cleared register does not")
    func documentLimit() throws {
        var documents = Documents(limits: DocumentLimits(documentsPerRoom: 2, elementsPerDocument: 10))
        let second = DocumentID(room: "dev", kind: .orSet, name: "second")
        let elsewhere = DocumentID(room: "ops", kind: .orSet, name: "second")
        try add("a", to: list, dot(1, 1), of: &documents)
        _ = documents.apply(try documents.deltaForSet("x", in: topic), to: topic, dot: dot(1, 2), timestamp: time(2))
        #expect(throws: DocumentRefusal.documentFull) { try documents.deltaForAdd("a", to: second) }
        #expect(throws: DocumentRefusal.documentFull) {
            try documents.deltaForSet("a", in: DocumentID(room: "dev", kind: .register, name: "list"))
        }
        try add("b", to: list, dot(1, 3), of: &documents)
        try add("a", to: elsewhere, dot(1, 4), of: &documents)
        let cleared = try documents.deltaForSet(nil, in: topic)
        _ = documents.apply(cleared, to: topic, dot: dot(1, 5), timestamp: time(5))
        #expect(throws: DocumentRefusal.documentFull) { try documents.deltaForAdd("a", to: second) }
        for element in ["a", "b"] as [Text] {
            _ = documents.apply(
                documents.deltaForRemove(element, from: list), to: list, dot: dot(1, 6), timestamp: time(6))
        }
        try add("a", to: second, dot(1, 7), of: &documents)
        #expect(documents.documentCount == 3)
    }
}

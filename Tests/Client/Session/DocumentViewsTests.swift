import Testing

@testable import ConvergeClient

@Suite("Documents as a client sees them")
struct DocumentViewsTests {
    private let tags = DocumentKey(name: "tags", sort: .set)
    private let topic = DocumentKey(name: "topic", sort: .register)
    private let votes = DocumentKey(name: "votes", sort: .counter)

    private func event(
        _ type: String, _ document: String, body: String? = nil, items: [String] = [], value: Int? = nil,
        ref: String? = nil
    ) -> DocumentEvent {
        DocumentEvent(type: type, room: "dev", document: document, body: body, items: items, value: value, ref: ref)
    }

    private func views() -> DocumentViews {
        var views = DocumentViews()
        for key in [tags, topic, votes] { #expect(views.follow(key) == true) }
        return views
    }

    @Test func `what is followed is asked for once, and what comes before the answer is in it`() {
        var views = views()
        let asks = views.refresh(nil)
        #expect(asks.map(\.type) == ["crdt_orset_values", "crdt_lww_get", "crdt_counter_get"])
        #expect(views.refresh([]).isEmpty)
        #expect(views.handle(event("crdt_orset_added", "tags", body: "b")).changed == nil)
        let first = views.handle(event("crdt_orset_values", "tags", items: ["a", "b"], ref: asks[0].ref))
        #expect(first.changed?.1 == .set(["a", "b"]))
    }

    @Test func `changes follow the answer, each by its effect`() {
        var views = views()
        _ = views.handle(event("crdt_orset_values", "tags", items: ["b"]))
        _ = views.handle(event("crdt_lww_value", "topic"))
        _ = views.handle(event("crdt_counter_value", "votes", value: 5))
        #expect(views.handle(event("crdt_orset_added", "tags", body: "a")).changed?.1 == .set(["a", "b"]))
        #expect(views.handle(event("crdt_orset_added", "tags", body: "a")).changed == nil)
        #expect(views.handle(event("crdt_orset_removed", "tags", body: "b")).changed?.1 == .set(["a"]))
        #expect(views.handle(event("crdt_orset_removed", "tags", body: "z")).changed == nil)
        #expect(views.handle(event("crdt_lww_set", "topic", body: "x")).changed?.1 == .register("x"))
        #expect(views.handle(event("crdt_lww_set", "topic")).changed?.1 == .register(nil))
        #expect(views.handle(event("crdt_counter_changed", "votes", value: 7)).changed?.1 == .counter(7))
    }

    @Test func `elements that look alike are two`() {
        var views = views()
        _ = views.handle(event("crdt_orset_values", "tags", items: ["e\u{301}"]))
        let both = views.handle(event("crdt_orset_added", "tags", body: "\u{E9}")).changed?.1
        guard case .set(let elements) = both else { return #expect(Bool(false)) }
        #expect(elements.count == 2)
    }

    @Test func `a counter's change without a value is asked about, once at a time`() {
        var views = views()
        _ = views.handle(event("crdt_counter_value", "votes", value: 5))
        let ask = views.handle(event("crdt_counter_changed", "votes")).ask
        #expect(ask?.type == "crdt_counter_get")
        #expect(views.handle(event("crdt_counter_changed", "votes")).ask == nil)
        let answer = views.handle(event("crdt_counter_value", "votes", value: 6, ref: ask?.ref))
        #expect(answer.changed?.1 == .counter(6) && answer.ask != nil, "one came after the question")
        let last = views.handle(event("crdt_counter_value", "votes", value: 7, ref: answer.ask?.ref))
        #expect(last.changed?.1 == .counter(7) && last.ask == nil)
    }

    @Test func `after a resume only what changed is asked for, unless something is missing`() {
        var views = views()
        for ask in views.refresh(nil) {
            _ = views.handle(
                event(
                    ask.type.hasSuffix("s") ? ask.type : ask.type.replacing("_get", with: "_value"),
                    ask.doc ?? "", value: 1, ref: ask.ref))
        }
        views.connectionLost()
        #expect(views.refresh(["topic"]).map(\.doc) == ["topic"])
        views.connectionLost()
        #expect(views.refresh(nil).count == 3)
    }

    @Test func `a refused question is asked again after a while`() {
        var views = views()
        let ref = views.refresh(nil)[0].ref ?? ""
        #expect(views.refused(ServerError("busy", ref: ref), at: 5) == true)
        let retryAt = views.retryAt
        #expect(views.refused(ServerError("busy", ref: ref), at: 3) == true)
        #expect(views.retryAt == retryAt, "nobody waits for it any more")
        #expect(views.refused(ServerError("busy", ref: "other"), at: 5) == false)
        #expect(views.tick(at: 6).isEmpty && views.retryAt == 1_000_000_005)
        #expect(views.tick(at: views.retryAt).map(\.doc) == ["tags"])
    }

    @Test func `there are only so many`() {
        var views = DocumentViews()
        for number in 0..<DocumentViews.limit {
            guard views.follow(DocumentKey(name: "\(number)", sort: .set)) else { return #expect(Bool(false)) }
        }
        #expect(views.follow(tags) == false)
        views.unfollow(DocumentKey(name: "0", sort: .set))
        #expect(views.follow(tags) == true)
    }

    @Test func `elements that a node sorts by another measure are found all the same`() {
        var views = views()
        _ = views.handle(event("crdt_orset_values", "tags", items: [#"{"a":1}"#, "b"]))
        #expect(views.handle(event("crdt_orset_added", "tags", body: "b")).changed == nil)
        let rest = views.handle(event("crdt_orset_removed", "tags", body: #"{"a":1}"#)).changed
        #expect(rest?.1 == .set(["b"]))
    }

    // MARK: Maps

    private let config = DocumentKey(name: "config", sort: .map)

    private func fields(_ fields: [MapField], next: String? = nil, ref: String? = nil) -> DocumentEvent {
        var event = event("doc_value", "config", ref: ref)
        event.fields = fields
        event.next = next
        return event
    }

    private func change(_ field: String, _ value: SharedValue?) -> DocumentEvent {
        var event = event("doc", "config")
        event.field = field
        event.fieldValue = value
        return event
    }

    @Test func `a map follows its changes, field by field`() {
        var views = DocumentViews()
        #expect(views.follow(config) == true)
        let ask = views.refresh(nil)[0]
        #expect(ask.type == "doc_get" && ask.kind == "map" && ask.doc == "config")
        #expect(views.handle(change("a", .text("1"))).changed == nil, "the answer has it")
        let first = views.handle(fields([MapField("a", .text("1")), MapField("c", .json("3"))], ref: ask.ref))
        #expect(first.changed?.1 == .map([MapField("a", .text("1")), MapField("c", .json("3"))]))
        _ = views.handle(change("b", .json("null")))
        _ = views.handle(change("a", .text("2")))
        let last = views.handle(change("c", nil))
        #expect(last.changed?.1 == .map([MapField("a", .text("2")), MapField("b", .json("null"))]))
        #expect(views.handle(change("c", nil)).changed == nil)
    }

    @Test func `an answer in pages is whole when the last has come, and begun anew where the document has changed`() {
        var views = DocumentViews()
        #expect(views.follow(config) == true)
        let first = views.refresh(nil)[0]
        let second = views.handle(fields([MapField("a", .text("1"))], next: "x", ref: first.ref))
        #expect(second.changed == nil && second.ask?.page == "x" && second.ask?.type == "doc_get")
        #expect(views.refused(ServerError("conflict", ref: second.ask?.ref), at: 5) == true)
        let anew = views.tick(at: views.retryAt)
        #expect(anew.count == 1 && anew[0].page == nil)
        let page = views.handle(fields([MapField("a", .text("2"))], next: "y", ref: anew[0].ref))
        let whole = views.handle(fields([MapField("b", .text("3"))], ref: page.ask?.ref))
        #expect(whole.changed?.1 == .map([MapField("a", .text("2")), MapField("b", .text("3"))]) && whole.ask == nil)
    }

    @Test func `a server that knows no maps is asked once a connection`() {
        var views = DocumentViews()
        #expect(views.follow(config) == true)
        let ref = views.refresh(nil)[0].ref
        #expect(views.refused(ServerError("unknown type: doc_get", ref: ref), at: 5) == true)
        #expect(views.retryAt == .max && views.refresh(nil).isEmpty)
        views.connectionLost()
        #expect(views.refresh(nil).count == 1)
    }
}

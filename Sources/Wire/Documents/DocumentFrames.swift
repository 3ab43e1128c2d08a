import ConvergeCRDT

// The frames that are the same for documents of all kinds: `doc`, which shows a change, and `doc_value`, which tells what a
// document stands at, whole or page by page. The frames of each kind that there were before are in its form.

/// Which part of a document is asked for.
public struct DocumentPage: Hashable, Sendable {
    /// What the page before said was `next`.
    public var after: Text?
    /// How many elements or fields at most; nil for all.
    public var limit: Int?

    public init(after: Text? = nil, limit: Int? = nil) {
        self.after = after
        self.limit = limit
    }

    /// The place behind `key` in a document of which `digest` is the digest: what was said of it at another moment does not
    /// lead on.
    public static func place(after key: Text, digest: UInt64) -> Text {
        Text(ReplicaID(rawValue: digest).description + key.string)
    }

    /// What `place` made a place of; nil where it made none such.
    public static func read(_ place: Text) -> (digest: UInt64, key: Text)? {
        let utf8 = place.string.utf8
        guard utf8.count >= 16, let digest = ReplicaID(String(place.string.unicodeScalars.prefix(16))) else {
            return nil
        }
        return (digest.rawValue, Text(decoding: utf8.dropFirst(16)))
    }
}

extension DocumentValue {
    /// At most `limit` of what stands behind `key`, and the last key of these, where there is more. A value that is one thing
    /// is a page of its own.
    public func page(after key: Text?, limit: Int) -> (page: DocumentValue, last: Text?) {
        func cut<E>(_ all: [E], _ name: (E) -> Text) -> (page: [E], last: Text?) {
            let rest = key.map { key in all.drop { name($0) <= key } } ?? all[...]
            let page = Array(rest.prefix(max(1, limit)))
            return (page, page.count < rest.count ? page.last.map(name) : nil)
        }
        switch self {
        case .list(let elements):
            let (page, last) = cut(elements) { $0 }
            return (.list(page), last)
        case .fields(let fields):
            let (page, last) = cut(fields, \.name)
            return (.fields(page), last)
        case .text, .number: return (self, nil)
        }
    }
}

extension ServerFrameEncoder {
    /// `doc`: a document's change.
    public mutating func documentChange(
        _ payload: DocumentPayload, _ shown: DocumentShown, room: Text, position: Position, to out: inout ByteBuffer
    ) {
        let delta = payload.delta
        beginEntry(MessageID(position.dot), "doc", position, to: &out)
        out.appendMember(",\"room\":", room)
        payload.user.withUTF8 { user in
            payload.displayName.withUTF8 {
                appendAuthor(UnsafeRawBufferPointer(user), UnsafeRawBufferPointer($0), to: &out)
            }
        }
        out.appendMember(",\"doc\":", payload.name)
        out.appendKind(delta.kind)
        out.append(",\"op\":\"")
        if case .revealed = shown { out.append(DocumentOperation.set.word) } else { out.append(delta.operation.word) }
        out.append("\"")
        switch delta.kind.form.layout {
        case .element:
            out.append(",\"value\":")
            out.append(documentValue: delta.key)
        case .value, .cell:
            if delta.kind.form.layout == .cell { out.appendField(delta.key) }
            var value = delta.value
            if case .revealed(let standing) = shown { value = standing }
            if let value {
                out.append(",\"value\":")
                out.append(documentValue: value)
            }
        case .totals:
            out.append(",\"value\":")
            out.appendDecimal(Int(delta.amount))
            if case .counted(let total) = shown {
                out.append(",\"total\":")
                out.appendDecimal(Int(total))
            }
        }
        endEntry(position, to: &out)
    }

    /// `doc_value`: what a document stands at, or a page of it. `next` leads to the page that follows.
    public mutating func documentValue(
        _ stamp: FrameStamp, _ value: DocumentValue, of document: DocumentID, next: Text? = nil, ref: Text?,
        to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "doc_value")
        out.appendMember(",\"room\":", document.room)
        out.appendMember(",\"doc\":", document.name)
        out.appendKind(document.kind)
        out.append(",\"value\":")
        switch value {
        case .list(let elements):
            out.append("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { out.append(",") }
                out.append(documentValue: element)
            }
            out.append("]")
        case .text(let text):
            if let text { out.append(documentValue: text) } else { out.append("null") }
        case .number(let number): out.appendDecimal(Int(number ?? 0))
        case .fields(let fields):
            out.append("{")
            for (index, field) in fields.enumerated() {
                if index > 0 { out.append(",") }
                out.appendJSONString(field.name)
                out.append(":")
                out.append(documentValue: field.value)
            }
            out.append("}")
        }
        appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        if let next { out.appendMember(",\"next\":", next) }
        out.append("}")
    }
}

extension ByteBuffer {
    fileprivate mutating func appendKind(_ kind: DocumentKind) {
        append(",\"kind\":\"")
        append(kind.form.word)
        append("\"")
    }

    /// A field may be called by the empty text.
    fileprivate mutating func appendField(_ name: Text) {
        append(",\"field\":")
        appendJSONString(name)
    }
}

extension DocumentOperation {
    /// As frames call it.
    var word: StaticString {
        switch self {
        case .add: "add"
        case .remove: "remove"
        case .set: "set"
        case .clear: "clear"
        case .increment: "increment"
        }
    }
}

import ConvergeCRDT

// How a JSON value stands in a document, whose keys and values are texts.
//
// A string is itself. Any other value is U+0000 and its JSON text; so is a string that begins with U+0000, so that no two
// values have one text. Where what is behind a U+0000 is no JSON value (an earlier build may have written it) the whole is
// the string that it is.

extension Text {
    /// The text of the value whose bytes these are: one JSON value, in UTF-8, without whitespace around it.
    init(documentValue json: UnsafeRawBufferPointer) throws(JSONError) {
        var scanner = JSONScanner(json)
        guard try scanner.peek() == .string else {
            self.init("\u{0}" + String(decoding: json, as: UTF8.self))
            return
        }
        let string = try scanner.string().text()
        self.init(string.beginsWithNull ? "\u{0}" + String(decoding: json, as: UTF8.self) : string.string)
    }

    private var beginsWithNull: Bool { withUTF8 { $0.first == 0 } }

    /// What stands behind a U+0000, where that is a JSON value.
    private func withJSON<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R? {
        withUTF8 { utf8 in
            guard utf8.first == 0 else { return nil }
            let json = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(utf8)[1...])
            var scanner = JSONScanner(json)
            do throws(JSONError) {
                try scanner.skipValue()
                try scanner.finish()
            } catch {
                return nil
            }
            return body(json)
        }
    }

    /// The value as frames of the first generation show it: a string, or the JSON text of what is none.
    var shownValue: Text {
        withJSON { json in
            var scanner = JSONScanner(json)
            return (try? scanner.string().text()) ?? Text(decoding: json)
        } ?? self
    }
}

extension ByteBuffer {
    /// The JSON value that `text` stands for in a document.
    mutating func append(documentValue text: Text) {
        let isJSON = text.asJSON { append($0) } != nil
        if !isJSON { appendJSONString(text) }
    }
}

extension Text {
    fileprivate func asJSON(_ body: (UnsafeRawBufferPointer) -> Void) -> Void? { withJSON(body) }
}

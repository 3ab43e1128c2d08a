import ConvergeWire

/// A value in a shared document: a text, or any other JSON.
public enum SharedValue: Hashable, Sendable {
    case text(String)
    /// JSON text of something that is no string: `3`, `true`, `{"a":[1]}`. As it was written: nothing in it is put in order.
    case json(String)

    /// The value for a person: a text as it is, anything else as its JSON.
    public var shown: String {
        switch self {
        case .text(let text): text
        case .json(let json): json
        }
    }

    /// - Parameter json: one JSON value in UTF-8, without whitespace around it.
    init(reading json: UnsafeRawBufferPointer) throws(JSONError) {
        var scanner = JSONScanner(json)
        if try scanner.peek() == .string {
            self = .text(try scanner.string().text().string)
        } else {
            self = .json(String(decoding: json, as: UTF8.self))
        }
    }

    /// False for what is said to be JSON and is none, or null, which says that there is no value, or a string, which is a text.
    var isWritable: Bool {
        guard case .json(var json) = self else { return true }
        return json.withUTF8 { utf8 in
            var scanner = JSONScanner(UnsafeRawBufferPointer(utf8))
            do throws(JSONError) {
                let kind = try scanner.peek()
                guard kind != .string, kind != .null else { return false }
                try scanner.skipValue()
                try scanner.finish()
                return true
            } catch {
                return false
            }
        }
    }

    /// Appends the JSON text. What is no JSON is written as the text that it is.
    func append(to buffer: inout ByteBuffer) {
        switch self {
        case .json(let json) where isWritable: buffer.append(json)
        case .json(let text), .text(let text): buffer.appendJSONString(Text(text))
        }
    }
}

/// A field of a shared map, and what stands under it.
public struct MapField: Hashable, Sendable {
    public var name: String
    public var value: SharedValue

    public init(_ name: String, _ value: SharedValue) {
        self.name = name
        self.value = value
    }
}

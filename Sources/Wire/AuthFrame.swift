/// The first frame of a connection of the second generation that has shown no token before:
/// `{"type":"auth","token":"…"}`.
public enum AuthFrame {
    /// The token; nil where this is no such frame. `bytes` must be UTF-8. O(n).
    public static func token(_ bytes: UnsafeRawBufferPointer) -> Text? {
        var type: Text?
        var token: Text?
        do throws(JSONError) {
            var json = JSONScanner(bytes)
            try json.beginObject()
            while let key = try json.nextKey() {
                if key.withBytes({ $0.equals("type") }) {
                    type = try json.string().text()
                } else if key.withBytes({ $0.equals("token") }) {
                    token = try json.string().text()
                } else {
                    try json.skipValue()
                }
            }
            try json.finish()
        } catch {
            return nil
        }
        return type == "auth" ? token : nil
    }
}

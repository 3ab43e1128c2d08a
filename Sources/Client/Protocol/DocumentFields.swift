import ConvergeWire

/// What `doc` and `doc_value` say, the frames that are the same for documents of all kinds, as a document event.
///
/// Of a set, a register and a counter it becomes the event that the kind's own frame would: who follows documents need not
/// know by which frame they were told.
struct DocumentFields {
    var kind = ""
    var operation = ""
    var field: String?
    /// JSON text of the member `value`, which is a change's value, or what the document stands at. Empty where there is none,
    /// or null.
    var value: [UInt8] = []
    var total: Int?

    /// What a frame's `value` is where it is a whole number, as in the frames of counters.
    func integer() throws(JSONError) -> Int? {
        guard !value.isEmpty else { return nil }
        return try reading { json throws(JSONError) in try json.integer() }
    }

    private func reading<R>(_ body: (inout JSONScanner) throws(JSONError) -> R) throws(JSONError) -> R {
        let result = value.withUnsafeBytes { bytes -> Result<R, JSONError> in
            var json = JSONScanner(bytes)
            do throws(JSONError) { return .success(try body(&json)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private func sharedValue() throws(JSONError) -> SharedValue? {
        guard !value.isEmpty else { return nil }
        let result = value.withUnsafeBytes { bytes -> Result<SharedValue, JSONError> in
            do throws(JSONError) { return .success(try SharedValue(reading: bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Completes the event of a `doc` frame; false for a kind that is not known here.
    func fillChange(_ event: inout DocumentEvent) throws(JSONError) -> Bool {
        switch DocumentSort(wire: kind) {
        case .set:
            event.type = operation == "remove" ? "crdt_orset_removed" : "crdt_orset_added"
            event.body = try sharedValue()?.shown
        case .register:
            event.type = "crdt_lww_set"
            event.body = operation == "clear" ? nil : try sharedValue()?.shown
        case .counter:
            event.type = "crdt_counter_changed"
            event.amount = try integer()
            event.value = total
        case .map:
            event.field = field ?? ""
            event.fieldValue = operation == "set" ? try sharedValue() ?? .json("null") : nil
        case nil: return false
        }
        return true
    }

    /// Completes the event of a `doc_value` frame; false for a kind that is not known here.
    func fillValue(_ event: inout DocumentEvent) throws(JSONError) -> Bool {
        switch DocumentSort(wire: kind) {
        case .set:
            event.type = "crdt_orset_values"
            event.items = try reading { json throws(JSONError) in
                var items: [String] = []
                try json.beginArray()
                while try json.nextElement() { items.append(try SharedValue(reading: try json.rawValue()).shown) }
                return items
            }
        case .register:
            event.type = "crdt_lww_value"
            event.body = try sharedValue()?.shown
        case .counter:
            event.type = "crdt_counter_value"
            event.value = try integer()
        case .map:
            event.fields = try reading { json throws(JSONError) in
                var fields: [MapField] = []
                try json.beginObject()
                while let name = try json.nextKey() {
                    fields.append(MapField(name.text().string, try SharedValue(reading: try json.rawValue())))
                }
                return fields
            }
        case nil: return false
        }
        return true
    }
}

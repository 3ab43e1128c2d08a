// The binary forms of what stands under dots. BinaryForm.swift has the layout.
//
// A store is written without its context, as it is kept: who has the context writes it once, before the store, and
// refuses on reading a store with a dot outside of it.

extension CausalState where Store: BinaryCodable {
    @inlinable
    internal func encodeState(into writer: inout BinaryWriter) {
        context.encode(into: &writer)
        store.encode(into: &writer)
    }

    @inlinable
    internal init(stateFrom reader: inout BinaryReader) throws(BinaryError) {
        let context = try CausalContext(from: &reader)
        let store = try Store(from: &reader)
        var isCovered = true
        store.forEachDot { if !context.contains($0) { isCovered = false } }
        guard isCovered else { throw .inconsistent }
        self.init(store: store, context: context)
    }
}

// MARK: OR-Set

extension DotMap: BinaryCodable where Key: BinaryCodable {
    @inlinable
    public func encode(into writer: inout BinaryWriter) {
        writer.append(sorted: entries) { dots, writer in writer.append(dots: dots) }
    }

    @inlinable
    public init(from reader: inout BinaryReader) throws(BinaryError) {
        self.init()
        entries = try reader.sorted(ofAtLeast: 3) { reader throws(BinaryError) in
            let dots = try reader.dots()
            guard !dots.isEmpty else { throw .notCanonical }
            return dots
        }
    }
}

extension ORSet: BinaryCodable where Element: BinaryCodable {}

extension ORSet: BinaryForm where Element: BinaryCodable {
    public static var kind: UInt8 { 9 }

    @inlinable public func encode(into writer: inout BinaryWriter) { encodeState(into: &writer) }

    @inlinable public init(from reader: inout BinaryReader) throws(BinaryError) { try self.init(stateFrom: &reader) }
}

extension ElementChange: BinaryCodable {
    @usableFromInline
    internal func encode(into writer: inout BinaryWriter) {
        writer.append(dots: standing)
        writer.append(dots: gone)
    }

    @usableFromInline
    internal init(from reader: inout BinaryReader) throws(BinaryError) {
        self.init(standing: try reader.dots(), gone: try reader.dots())
        guard !standing.isEmpty || !gone.isEmpty else { throw .notCanonical }
        guard !standing.contains(where: gone.contains) else { throw .inconsistent }
    }
}

extension ORSet.Delta: BinaryCodable where Element: BinaryCodable {}

extension ORSet.Delta: BinaryForm where Element: BinaryCodable {
    public static var kind: UInt8 { 10 }

    @inlinable
    public func encode(into writer: inout BinaryWriter) {
        switch changes {
        case .none: writer.append(number: 0)
        case .one(let element, let change):
            writer.append(sorted: [element: change]) { change, writer in change.encode(into: &writer) }
        case .many(let changes):
            writer.append(sorted: changes) { change, writer in change.encode(into: &writer) }
        }
    }

    @inlinable
    public init(from reader: inout BinaryReader) throws(BinaryError) {
        let changes: [Element: ElementChange] = try reader.sorted(ofAtLeast: 4) { reader throws(BinaryError) in
            try ElementChange(from: &reader)
        }
        self.init()
        if changes.count == 1, let (element, change) = changes.first {
            self.changes = .one(element, change)
        } else if !changes.isEmpty {
            self.changes = .many(changes)
        }
    }
}

// MARK: Registers and counters under dots

extension DotFun: BinaryCodable where Value: BinaryCodable {
    public func encode(into writer: inout BinaryWriter) {
        writer.append(number: UInt64(count))
        for write in writes {
            writer.append(dot: write.dot)
            write.value.encode(into: &writer)
        }
    }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        let count = try reader.count(ofAtLeast: 2)
        var writes: [Write] = []
        // What a value takes here may be much more than what it takes there.
        writes.reserveCapacity(min(count, 16))
        for _ in 0..<count {
            let dot = try reader.dot()
            if let last = writes.last, !(last.dot < dot) { throw .notCanonical }
            writes.append(Write(dot: dot, value: try Value(from: &reader)))
        }
        self.init(sorted: writes)
    }
}

extension DotFun.Delta: BinaryCodable where Value: BinaryCodable {}

/// The delta of an `MVRegister`, a `ResettableCounter` and an `Observed`.
extension DotFun.Delta: BinaryForm where Value: BinaryCodable {
    public static var kind: UInt8 { 11 }

    public func encode(into writer: inout BinaryWriter) {
        standing.encode(into: &writer)
        writer.append(dots: gone)
    }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        self.init(standing: try DotFun(from: &reader), gone: try reader.dots())
        guard !standing.writes.contains(where: { gone.contains($0.dot) }) else { throw .inconsistent }
    }
}

extension MVRegister: BinaryCodable where Value: BinaryCodable {}

extension MVRegister: BinaryForm where Value: BinaryCodable {
    public static var kind: UInt8 { 12 }

    public func encode(into writer: inout BinaryWriter) { encodeState(into: &writer) }

    public init(from reader: inout BinaryReader) throws(BinaryError) { try self.init(stateFrom: &reader) }
}

extension ResettableCounter: BinaryForm {
    public static var kind: UInt8 { 13 }

    public func encode(into writer: inout BinaryWriter) { encodeState(into: &writer) }

    public init(from reader: inout BinaryReader) throws(BinaryError) { try self.init(stateFrom: &reader) }
}

extension Observed: BinaryCodable where Value: BinaryCodable {}

extension Observed: BinaryForm where Value: BinaryCodable {
    public static var kind: UInt8 { 14 }

    public func encode(into writer: inout BinaryWriter) { encodeState(into: &writer) }

    public init(from reader: inout BinaryReader) throws(BinaryError) { try self.init(stateFrom: &reader) }
}

// MARK: OR-Map

extension ORMap.Store: BinaryCodable where Key: BinaryCodable, Value.Store: BinaryCodable {
    public func encode(into writer: inout BinaryWriter) {
        writer.append(sorted: values) { value, writer in value.encode(into: &writer) }
    }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        self.init(
            values: try reader.sorted(ofAtLeast: 3) { reader throws(BinaryError) in
                let value = try Value.Store(from: &reader)
                guard !value.isEmpty else { throw .notCanonical }
                return value
            })
    }
}

extension ORMap: BinaryCodable where Key: BinaryCodable, Value.Store: BinaryCodable {}

extension ORMap: BinaryForm where Key: BinaryCodable, Value.Store: BinaryCodable {
    public static var kind: UInt8 { 15 }

    public func encode(into writer: inout BinaryWriter) { encodeState(into: &writer) }

    public init(from reader: inout BinaryReader) throws(BinaryError) { try self.init(stateFrom: &reader) }
}

extension ORMap.Delta: BinaryCodable where Key: BinaryCodable, Value.Delta: BinaryCodable {}

extension ORMap.Delta: BinaryForm where Key: BinaryCodable, Value.Delta: BinaryCodable {
    public static var kind: UInt8 { 16 }

    public func encode(into writer: inout BinaryWriter) {
        writer.append(sorted: changes) { change, writer in change.encode(into: &writer) }
    }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        self.init(
            changes: try reader.sorted(ofAtLeast: 3) { reader throws(BinaryError) in
                let change = try Value.Delta(from: &reader)
                guard !change.isEmpty else { throw .notCanonical }
                return change
            })
    }
}

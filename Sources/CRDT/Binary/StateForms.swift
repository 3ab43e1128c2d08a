// The binary forms of counters and of the last-writer register, which are their own deltas. BinaryForm.swift has the
// layout.

extension LWWStamp: BinaryCodable {
    public func encode(into writer: inout BinaryWriter) {
        timestamp.encode(into: &writer)
        writer.append(replica: replica)
    }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        self.init(timestamp: try HybridTimestamp(from: &reader), replica: try reader.replica())
    }
}

extension LWWRegister: BinaryCodable where Value: BinaryCodable {}

extension LWWRegister: BinaryForm where Value: BinaryCodable {
    public static var kind: UInt8 { 6 }

    public func encode(into writer: inout BinaryWriter) {
        guard let stamp else { return writer.append(byte: 0) }
        writer.append(byte: value == nil ? 1 : 2)
        stamp.encode(into: &writer)
        value?.encode(into: &writer)
    }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        switch try reader.byte() {
        case 0: self.init()
        case 1: self.init(nil, stamp: try LWWStamp(from: &reader))
        case 2:
            let stamp = try LWWStamp(from: &reader)
            self.init(try Value(from: &reader), stamp: stamp)
        default: throw .outOfRange
        }
    }
}

extension GCounter: BinaryForm {
    public static var kind: UInt8 { 7 }

    public func encode(into writer: inout BinaryWriter) { vector.encode(into: &writer) }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        self.init(vector: try VersionVector(from: &reader, upTo: .max))
    }
}

extension PNCounter: BinaryForm {
    public static var kind: UInt8 { 8 }

    public func encode(into writer: inout BinaryWriter) {
        increments.encode(into: &writer)
        decrements.encode(into: &writer)
    }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        self.init()
        increments = try GCounter(from: &reader)
        decrements = try GCounter(from: &reader)
    }
}

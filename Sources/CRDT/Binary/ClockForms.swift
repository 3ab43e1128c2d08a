// The binary forms of names, dots, contexts and timestamps. BinaryForm.swift has the layout.

extension ReplicaID: BinaryForm {
    public static var kind: UInt8 { 1 }

    public func encode(into writer: inout BinaryWriter) { writer.append(replica: self) }

    public init(from reader: inout BinaryReader) throws(BinaryError) { self = try reader.replica() }
}

/// A seq of 0 and one over `Int64.max`, which no log has, are written but not read.
extension Dot: BinaryForm {
    public static var kind: UInt8 { 2 }

    public func encode(into writer: inout BinaryWriter) { writer.append(dot: self) }

    public init(from reader: inout BinaryReader) throws(BinaryError) { self = try reader.dot() }
}

extension VersionVector: BinaryForm {
    public static var kind: UInt8 { 3 }

    public func encode(into writer: inout BinaryWriter) {
        writer.append(number: UInt64(components.count))
        for component in components { writer.append(dot: component) }
    }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        self = try VersionVector(from: &reader, upTo: UInt64(Int64.max))
    }

    /// Reads components of at most `limit`, sorted by replica, none of them 0.
    internal init(from reader: inout BinaryReader, upTo limit: UInt64) throws(BinaryError) {
        let count = try reader.count(ofAtLeast: 2)
        var last: ReplicaID?
        self.init()
        for _ in 0..<count {
            let replica = try reader.replica()
            let seq = try reader.number()
            if let last, last >= replica { throw .notCanonical }
            guard seq > 0, seq <= limit else { throw .outOfRange }
            advance(to: Dot(replica: replica, seq: seq))
            last = replica
        }
    }
}

extension CausalContext: BinaryForm {
    public static var kind: UInt8 { 4 }

    public func encode(into writer: inout BinaryWriter) {
        vector.encode(into: &writer)
        writer.append(number: UInt64(cloud.count))
        for dot in cloud.sorted() { writer.append(dot: dot) }
    }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        self.init(try VersionVector(from: &reader))
        for dot in try reader.dots() {
            // What the vector covers, or would go on with, is not in the cloud.
            guard dot.seq > vector[dot.replica], dot.seq - vector[dot.replica] > 1 else { throw .notCanonical }
            insert(dot)
        }
    }
}

extension HybridTimestamp: BinaryForm {
    public static var kind: UInt8 { 5 }

    public func encode(into writer: inout BinaryWriter) { writer.append(fixed: rawValue) }

    public init(from reader: inout BinaryReader) throws(BinaryError) { self.init(rawValue: try reader.fixed()) }
}

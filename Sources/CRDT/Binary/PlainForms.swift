// The binary forms of what sets, maps and registers mostly hold: text, numbers, bytes.

extension String: BinaryCodable {
    /// The UTF-8 that the string has. Two strings that are equal only by canonical equivalence ("é" in one scalar or two)
    /// are one element with two forms: where bytes are compared, take a type that is equal only byte by byte.
    public func encode(into writer: inout BinaryWriter) { writer.append(counted: utf8) }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        guard let text = String(validating: try reader.counted(), as: UTF8.self) else { throw .invalidText }
        self = text
    }
}

extension Array: BinaryCodable where Element == UInt8 {
    public func encode(into writer: inout BinaryWriter) { writer.append(counted: self) }

    public init(from reader: inout BinaryReader) throws(BinaryError) { self = Array(try reader.counted()) }
}

extension Bool: BinaryCodable {
    public func encode(into writer: inout BinaryWriter) { writer.append(byte: self ? 1 : 0) }

    public init(from reader: inout BinaryReader) throws(BinaryError) {
        switch try reader.byte() {
        case 0: self = false
        case 1: self = true
        default: throw .outOfRange
        }
    }
}

/// A number in its shortest form.
extension BinaryCodable where Self: UnsignedInteger & FixedWidthInteger {
    @inlinable
    public func encode(into writer: inout BinaryWriter) { writer.append(number: UInt64(self)) }

    @inlinable
    public init(from reader: inout BinaryReader) throws(BinaryError) {
        guard let value = Self(exactly: try reader.number()) else { throw .outOfRange }
        self = value
    }
}

/// Zigzag-coded: 0, -1, 1, -2, … are 0, 1, 2, 3, …, so that small numbers of either sign are short.
extension BinaryCodable where Self: SignedInteger & FixedWidthInteger {
    @inlinable
    public func encode(into writer: inout BinaryWriter) {
        let wide = Int64(self)
        writer.append(number: UInt64(bitPattern: wide << 1 ^ wide >> 63))
    }

    @inlinable
    public init(from reader: inout BinaryReader) throws(BinaryError) {
        let number = try reader.number()
        let wide = Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
        guard let value = Self(exactly: wide) else { throw .outOfRange }
        self = value
    }
}

extension UInt: BinaryCodable {}
extension UInt8: BinaryCodable {}
extension UInt16: BinaryCodable {}
extension UInt32: BinaryCodable {}
extension UInt64: BinaryCodable {}
extension Int: BinaryCodable {}
extension Int8: BinaryCodable {}
extension Int16: BinaryCodable {}
extension Int32: BinaryCodable {}
extension Int64: BinaryCodable {}

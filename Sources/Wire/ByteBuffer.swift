/// A growable run of bytes that is written once and read by pointer: what frames are encoded into.
///
/// Unlike `[UInt8]` it appends without uniqueness checks, and it has one owner: it can't be copied by accident.
public struct ByteBuffer: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>?
    public private(set) var count = 0
    public private(set) var capacity = 0

    public init() {}

    public init(capacity: Int) {
        if capacity > 0 { grow(to: capacity) }
    }

    deinit { base?.deallocate() }

    public var isEmpty: Bool { count == 0 }

    /// The bytes written so far; valid until the next mutation.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    public var mutableBytes: UnsafeMutableRawBufferPointer {
        mutating get { UnsafeMutableRawBufferPointer(start: base, count: count) }
    }

    public func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[range])
    }

    public func array() -> [UInt8] { [UInt8](bytes) }

    /// Room for `extra` more bytes, uninitialized, starting at the present end; `commit` makes them part of the buffer.
    @inline(__always)
    public mutating func reserve(_ extra: Int) -> UnsafeMutablePointer<UInt8> {
        if count + extra > capacity || capacity == 0 { grow(to: max(count + extra, capacity * 2, 64)) }
        return base.unsafelyUnwrapped + count
    }

    @inline(__always)
    public mutating func commit(_ written: Int) {
        assert(count + written <= capacity)
        count += written
    }

    @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1).pointee = byte
        count += 1
    }

    @inline(__always)
    public mutating func append(_ source: UnsafeRawBufferPointer) {
        guard let from = source.baseAddress, source.count > 0 else { return }
        UnsafeMutableRawPointer(reserve(source.count)).copyMemory(from: from, byteCount: source.count)
        count += source.count
    }

    @inline(__always)
    public mutating func append(_ literal: StaticString) {
        append(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    public mutating func append(_ source: [UInt8]) {
        source.withUnsafeBytes { append($0) }
    }

    public mutating func append(_ text: Text) {
        let room = reserve(text.byteCount)
        let written = text.withUTF8 { utf8 -> Int in
            if let from = utf8.baseAddress { room.update(from: from, count: utf8.count) }
            return utf8.count
        }
        count += written
    }

    public mutating func append(_ string: String) { append(Text(string)) }

    /// Forgets the bytes; the memory stays unless it is larger than `keeping`.
    public mutating func removeAll(keeping: Int = .max) {
        count = 0
        if capacity > keeping {
            base?.deallocate()
            base = nil
            capacity = 0
        }
    }

    /// Takes `prefix` bytes off the front. O(count).
    public mutating func removeFirst(_ prefix: Int) {
        precondition(prefix <= count)
        if let base, prefix > 0, prefix < count {
            UnsafeMutableRawPointer(base).copyMemory(from: base + prefix, byteCount: count - prefix)
        }
        count -= prefix
    }

    /// Cuts the buffer down to its first `length` bytes.
    public mutating func truncate(to length: Int) {
        precondition(length <= count)
        count = length
    }

    private mutating func grow(to wanted: Int) {
        let fresh = UnsafeMutablePointer<UInt8>.allocate(capacity: wanted)
        if let base {
            fresh.update(from: base, count: count)
            base.deallocate()
        }
        base = fresh
        capacity = wanted
    }
}

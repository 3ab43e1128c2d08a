/// Cuts what comes over a link, in pieces of any size, into frames.
///
/// A frame's length is refused as soon as it is read, before the frame has come; so what is held is never more than one
/// frame of `maximumLength` and the piece that was appended last, and never more than what was received.
///
/// After each `append` the caller takes all that is there: `next()` until it is nil.
public struct PeerFrameReader: Sendable {
    public enum Item: Hashable, Sendable {
        case frame(PeerFrame)
        /// A whole frame of a kind that a newer minor version has: skipped.
        case unknown(kind: UInt8)
    }

    /// The most bytes that a frame may have behind its length. `PeerLimits.hello` until the other side has said who it
    /// is; then `PeerLimits.frame`. Counts for all frames that `next()` has not yet returned.
    public var maximumLength: Int

    private var held: [UInt8] = []
    /// How much of `held` has been returned as frames.
    private var taken = 0
    private var failure: PeerFrameError?

    /// Larger buffers than this are given back when they are empty.
    private static let kept = 64 << 10

    public init(maximumLength: Int = PeerLimits.hello) { self.maximumLength = maximumLength }

    /// How many bytes have been appended and not yet returned as frames.
    public var heldCount: Int { held.count - taken }

    /// After an error nothing more is held.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard failure == nil else { return }
        if taken > 0 {
            held.removeFirst(taken)
            taken = 0
        }
        held.append(contentsOf: bytes)
    }

    /// The next frame; nil where more bytes are needed. Throws what the first bad frame is, and again whenever it is
    /// asked after that.
    public mutating func next() throws(PeerFrameError) -> Item? {
        if let failure { throw failure }
        do throws(PeerFrameError) {
            return try cut()
        } catch {
            failure = error
            held = []
            taken = 0
            throw error
        }
    }

    private mutating func cut() throws(PeerFrameError) -> Item? {
        let cut = held.withUnsafeBytes { [taken, maximumLength] held -> Result<(Item, end: Int)?, PeerFrameError> in
            do throws(PeerFrameError) {
                return .success(try PeerFrameReader.cut(held, from: taken, maximumLength: maximumLength))
            } catch { return .failure(error) }
        }
        guard let (item, end) = try cut.get() else { return nil }
        taken = end
        if taken == held.count {
            held.removeAll(keepingCapacity: held.capacity <= PeerFrameReader.kept)
            taken = 0
        }
        return item
    }

    /// The frame that begins at `start`, and where it ends.
    private static func cut(
        _ held: UnsafeRawBufferPointer, from start: Int, maximumLength: Int
    ) throws(PeerFrameError) -> (Item, end: Int)? {
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: held[start...]))
        let length: UInt64
        do throws(EntryCodecError) {
            length = try reader.varint()
        } catch {
            if error == .truncated { return nil }
            throw PeerFrameError(error)
        }
        guard length <= UInt64(max(0, maximumLength)) else { throw .tooLong(length) }
        guard length <= UInt64(reader.remaining) else { return nil }
        let bodyStart = start + reader.offset
        let end = bodyStart + Int(length)
        let body = UnsafeRawBufferPointer(rebasing: held[bodyStart..<end])
        do throws(PeerFrameError) {
            return (.frame(try PeerFrame(decoding: body)), end)
        } catch {
            guard case .unknownKind(let kind) = error else { throw error }
            return (.unknown(kind: kind), end)
        }
    }
}

import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeNode

/// The live frames that are held for a subscription while a page is read.
@Suite struct FeedQueueTests {
    private func frame(_ length: Int, _ byte: UInt8) -> [UInt8] {
        var frame = ByteBuffer()
        [UInt8](repeating: byte, count: length).withUnsafeBytes { WebSocketFrame.append(.text, $0, to: &frame) }
        return frame.array()
    }

    @Test("held frames are kept until there are too many bytes of them, and chosen by their numbers")
    func feed() throws {
        let queue = FeedQueue(Feed(catchingUpFrom: .init()))
        _ = queue.feed.ask(1, at: VersionVector())
        let frames = (0..<4).map { frame(10, UInt8($0)) }
        for frame in frames.prefix(3) { frame.withUnsafeBytes { queue.hold($0, nil, limit: 40) } }
        #expect(queue.ends == [12, 24, 36] && !queue.feed.overflowed && Array(queue[1]) == frames[1])
        queue.keep([0, 2])
        #expect(queue.bytes.array() == frames[0] + frames[2] && Array(queue[1]) == frames[2])
        frames[3].withUnsafeBytes { queue.hold($0, nil, limit: 36) }
        #expect(queue.ends == [12, 24, 36])
        frames[3].withUnsafeBytes { queue.hold($0, nil, limit: 36) }
        #expect(queue.feed.overflowed && queue.bytes.isEmpty && queue.ends.isEmpty)
    }
}

import ConvergeWire

/// An encoder for each generation of the protocol, and which of them somebody on this node speaks: a frame for a room is
/// written once for each of those, and for no other.
///
/// A session is counted from before it is in its first room until its loop has forgotten it. Who comes while a batch is on its
/// way to the store may be shown what is in it: see `FrameBatchBuilder.complete`.
struct FrameEncoders: Sendable {
    private var first = ServerFrameEncoder(.first)
    private var second = ServerFrameEncoder(.second)
    private var sessions: (first: Int, second: Int) = (0, 0)

    mutating func came(_ session: SessionID) { count(session, 1) }
    mutating func left(_ session: SessionID) { count(session, -1) }

    private mutating func count(_ session: SessionID, _ change: Int) {
        switch session.speaks {
        case .first: sessions.first += change
        case .second: sessions.second += change
        }
    }

    func isSpoken(_ generation: ProtocolGeneration) -> Bool {
        switch generation {
        case .first: sessions.first > 0
        case .second: sessions.second > 0
        }
    }

    subscript(generation: ProtocolGeneration) -> ServerFrameEncoder {
        _read {
            switch generation {
            case .first: yield first
            case .second: yield second
            }
        }
        _modify {
            switch generation {
            case .first: yield &first
            case .second: yield &second
            }
        }
    }

    /// The one that writes for this session.
    subscript(session: SessionID) -> ServerFrameEncoder {
        _read { yield self[session.speaks] }
        _modify { yield &self[session.speaks] }
    }
}

import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("Staging")
struct StagingTests {
    private static func chunk(_ number: UInt64) -> SnapshotChunk {
        SnapshotChunk(number: number, status: .more, at: VersionVector())
    }

    /// "stage 1, discarding", "install 2", or "-".
    private static func next(_ staging: inout Staging, foreignWaits: Bool = false) -> String {
        switch staging.next(foreignWaits: foreignWaits) {
        case .stage(let chunk, let discards): "stage \(chunk.number)\(discards ? ", discarding" : "")"
        case .install(let chunk, have: _, let discards): "install \(chunk.number)\(discards ? ", discarding" : "")"
        default: "-"
        }
    }

    @Test("pieces go to the writer one after the other; the first does away with what was staged before")
    func order() {
        var staging = Staging()
        var words = [Self.next(&staging)]
        staging.discard()
        for number in 1...3 as ClosedRange<UInt64> {
            staging.stage(Self.chunk(number))
            words.append(Self.next(&staging))
            words.append(Self.next(&staging))
            staging.finished()
        }
        #expect(words == ["-", "stage 1, discarding", "-", "stage 2", "-", "stage 3", "-"])
        #expect(!staging.isBusy)
    }

    @Test("the last piece waits until nothing foreign is unstored")
    func install() {
        var staging = Staging()
        staging.stage(Self.chunk(1))
        var words = [Self.next(&staging)]
        staging.finished()
        staging.install(Self.chunk(2), have: VersionVector())
        words.append(Self.next(&staging, foreignWaits: true))
        #expect(staging.isInstalling && !staging.isBusy)
        words.append(Self.next(&staging))
        #expect(words == ["stage 1, discarding", "-", "install 2"])
        #expect(staging.isBusy && !staging.isInstalling)
    }

    @Test("a snapshot that is begun anew while a piece is written discards that one, too")
    func anew() {
        var staging = Staging()
        staging.stage(Self.chunk(1))
        var words = [Self.next(&staging)]
        staging.discard()
        staging.stage(Self.chunk(7))
        staging.finished()
        words.append(Self.next(&staging))
        #expect(words == ["stage 1, discarding", "stage 7, discarding"])
    }

    @Test("a store that has closed loses what waits and what was staged")
    func failed() {
        var staging = Staging()
        staging.stage(Self.chunk(1))
        _ = Self.next(&staging)
        staging.stage(Self.chunk(2))
        staging.failed()
        let none = Self.next(&staging)
        staging.stage(Self.chunk(3))
        #expect(none == "-" && !staging.isBusy)
        let again = Self.next(&staging)
        #expect(again == "stage 3, discarding")
    }
}

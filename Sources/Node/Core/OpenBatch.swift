import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Puts `new` in the place of a value that can't be copied, and hands out what was there.
func exchange<Value: ~Copyable>(_ place: inout Value, for new: consuming Value) -> Value {
    let old = consume place
    place = new
    return old
}

/// What becomes one transaction, and what is to be shown once it is durable.
///
/// Frames wait in it in the order of their entries; replies that must not overtake those frames, or tell of something that
/// is not stored yet, wait among them. If the batch fails, all of that is dropped, everybody in `waiting` is told, and the
/// `reads` are answered anew.
struct OpenBatch: ~Copyable {
    var batch = Batch()
    var frames = FrameBatchBuilder()
    /// Who has to hear of a failure.
    var waiting: [(session: SessionID, ref: Text?)] = []
    /// What was asked about documents, and is answered among the frames.
    var reads: [DocumentRead] = []
    /// Messages with a key in this batch.
    var keys: [MessageID] = []
    /// The room of each entry.
    var rooms: [UInt32] = []
    /// How far the documents were after its last write.
    var documents: Documents.Mark?
    /// How far joined and left were.
    var attendance: Attendance.Mark?
    /// Acks that wait for copies once the batch is stored.
    var copies: [CopyWaits.Wait] = []
    /// Client commands among the entries: what `CONVERGE_SAVE_BUFFER` counts.
    var commands = 0

    var isEmpty: Bool { batch.entries.isEmpty }

    /// Takes out the questions about documents, and the answers that wait for them.
    mutating func takeReads() -> [DocumentRead] {
        frames.dropAnswers()
        return exchange(&reads, for: [])
    }

    /// What is to be shown, the rest given up.
    consuming func takeFrames() -> FrameBatchBuilder { frames }
}

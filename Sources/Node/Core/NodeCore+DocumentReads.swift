import ConvergeGossip
import ConvergeWire

/// A question about documents.
enum DocumentQuestion: Hashable, Sendable {
    /// A page of it, or in the frame of its kind the whole.
    case value(DocumentID, DocumentPage?)
    case list(room: Text)
}

/// One that is answered behind a batch: so it can be answered anew, without what that batch writes.
struct DocumentRead: Sendable {
    let question: DocumentQuestion
    let session: SessionID
    let ref: Text?
}

/// Documents are read from memory, in one order with the live frames.
///
/// Two things hold: an answer never shows what is not stored, and none waits for a store that is away. Memory is ahead of
/// the store by what is in the batch on its way and in the open one, so an answer waits among their frames. If they fail, it
/// is given anew from what is left. While the outcome of a batch is unknown, which may last as long as the store is away,
/// answers are given at once, from what the documents were before that batch; its frames, if it turns out to be stored,
/// follow them.
extension NodeCore {
    mutating func read(_ question: DocumentQuestion, ref: Text?, for session: SessionID, at now: UInt64) {
        guard pipeline.byteCount + ready.byteCount < Self.pendingBytes else {
            refuse(.busy, session, ref: ref, at: now)
            return
        }
        answer(DocumentRead(question: question, session: session, ref: ref), at: now)
    }

    /// How many bytes of frames may wait for a commit before documents are not read any more: one large set asked for again
    /// and again must not fill the memory.
    private static var pendingBytes: Int { 32 << 20 }

    /// A batch was dropped, or is in doubt: what was to be answered behind it is answered from what stands without it. The
    /// documents are rolled back before.
    mutating func answerInterruptedReads(at now: UInt64) {
        for read in pipeline.takeInterrupted(documents) { answer(read, at: now) }
    }

    private mutating func answer(_ read: DocumentRead, at now: UInt64) {
        let answer = Answer(to: read.question, documents, before: pipeline.beforeDoubt)
        let stamp = stamp(at: now)
        if pipeline.flight == .inDoubt {
            ready.appendAnswer(to: read.session) {
                answer.encode(by: &encoders[read.session], stamp, ref: read.ref, to: &$0)
            }
            return
        }
        pipeline.keep(read)
        inOrder(for: read.session) { frames, encoders in
            frames.appendAnswer(to: read.session) {
                answer.encode(by: &encoders[read.session], stamp, ref: read.ref, to: &$0)
            }
        }
    }
}

/// What stands, before it is a frame.
private enum Answer {
    case value(DocumentID, DocumentValue)
    case page(DocumentID, DocumentValue, next: Text?)
    /// The document is not what it was when the page before was read.
    case changed
    case list(room: Text, [(name: Text, kind: DocumentKind)])

    /// - Parameter before: what stood before all that is not settled, where that is what is asked for.
    init(to question: DocumentQuestion, _ documents: borrowing Documents, before: DocumentsBefore?) {
        switch question {
        case .value(let document, nil): self = .value(document, documents.value(of: document, before: before))
        case .value(let document, let page?): self = Self.page(page, of: document, documents, before: before)
        case .list(let room): self = .list(room: room, documents.documents(in: room, before: before))
        }
    }

    private static func page(
        _ page: DocumentPage, of document: DocumentID, _ documents: borrowing Documents, before: DocumentsBefore?
    ) -> Answer {
        let value = documents.value(of: document, before: before)
        guard page.after != nil || page.limit ?? 0 > 0 else { return .page(document, value, next: nil) }
        let digest = documents.digest(of: document, before: before)
        let place = page.after.map { DocumentPage.read($0) }
        if let place, place?.digest != digest { return .changed }
        let limit = page.limit.flatMap { $0 > 0 ? $0 : nil } ?? .max
        let (part, last) = value.page(after: place??.key, limit: limit)
        return .page(document, part, next: last.map { DocumentPage.place(after: $0, digest: digest) })
    }

    func encode(by encoder: inout ServerFrameEncoder, _ stamp: FrameStamp, ref: Text?, to frame: inout ByteBuffer) {
        switch self {
        case .value(let document, let value): encoder.value(stamp, value, of: document, ref: ref, to: &frame)
        case .page(let document, let value, let next):
            encoder.documentValue(stamp, value, of: document, next: next, ref: ref, to: &frame)
        case .changed:
            let refusal = Refusal.changedMeanwhile
            encoder.error(stamp, refusal.code, hint: refusal.hint, ref: ref, to: &frame)
        case .list(let room, let documents):
            encoder.documents(stamp, room: room, documents: documents, ref: ref, to: &frame)
        }
    }
}

import ConvergeStorage
import ConvergeWire

/// What is to be stored of members with the next batch: for each address the latest word, in the order in which they came.
///
/// A batch that fails gives its notes back, so a member that was met while the store was away is known after the next
/// start. Where there are more than `limit` addresses the oldest note is dropped: who is met again is noted again.
struct MemberNotes {
    private struct Note {
        let number: UInt64
        let effect: StoreEffect
    }

    private var notes: [Text: Note] = [:]
    private var next: UInt64 = 0
    private let limit: Int

    init(limit: Int = 4_096) { self.limit = limit }

    var isEmpty: Bool { notes.isEmpty }

    mutating func note(_ effect: StoreEffect) {
        guard let address = Self.address(of: effect) else { return }
        notes[address] = Note(number: next, effect: effect)
        next += 1
        if notes.count > limit, let oldest = notes.min(by: { $0.value.number < $1.value.number }) {
            notes[oldest.key] = nil
        }
    }

    /// Takes back what was in a batch that is not stored, as far as nothing newer is known.
    mutating func putBack(_ batch: [StoreEffect]) {
        let newer = take()
        for effect in batch { note(effect) }
        for effect in newer { note(effect) }
    }

    mutating func take() -> [StoreEffect] {
        exchange(&notes, for: [:]).values.sorted { $0.number < $1.number }.map(\.effect)
    }

    private static func address(of effect: StoreEffect) -> Text? {
        switch effect {
        case .remember(let member): member.address
        case .forget(let address): address
        default: nil
        }
    }
}

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

/// State is a function of the version vector: two disks that cover the same hold the same, at every step of a run.
///
/// A fingerprint of a whole store costs as much as the store is large, so it is taken at some vectors only; which, the
/// vector itself says, so that every disk that comes by there is looked at.
struct StateChecks {
    /// A vector, and the ends of those logs in it that have forked: only together they say which entries are meant.
    private struct Key: Hashable {
        let vector: VersionVector
        let ends: [EntryHash]
    }

    private var fingerprints: [Key: (fingerprint: UInt64, disk: Int)] = [:]

    /// The states themselves, kept where a trace is written: so that it can say what differs.
    var kept: [VersionVector: MemoryState]?

    /// Whether states are compared at this vector: one in `share`.
    static func isCompared(_ vector: VersionVector, oneIn share: UInt64) -> Bool {
        var mix: UInt64 = 0x9E37_79B9_7F4A_7C15
        for dot in vector.components {
            mix = (mix ^ dot.replica.rawValue) &* 0xBF58_476D_1CE4_E5B9
            mix = (mix ^ dot.seq ^ mix >> 31) &* 0x94D0_49BB_1331_11EB
        }
        return (mix >> 17) % share == 0
    }

    /// Takes what a disk holds at a vector; the disk that held something else there, if there was one.
    mutating func compare(
        _ vector: VersionVector, _ ends: [EntryHash], _ fingerprint: UInt64, disk: Int
    ) -> Int? {
        let key = Key(vector: vector, ends: ends)
        guard let known = fingerprints[key] else {
            fingerprints[key] = (fingerprint, disk)
            return nil
        }
        return known.fingerprint == fingerprint ? nil : known.disk
    }

    /// What differs between the state kept for its vector and this one.
    func difference(from state: MemoryState) -> String {
        guard let known = kept?[state.vector] else { return "" }
        var words: [String] = []
        for (room, positions) in shown(state, known) { words.append("\(room) shows \(positions) here") }
        for (room, positions) in shown(known, state) { words.append("\(room) shows \(positions) there") }
        for document in state.documents where !known.documents.contains(document) {
            words.append(
                "here \(document.id.room)/\(document.id.name) \(document.touched.components) \(Self.cells(document))")
        }
        for document in known.documents where !state.documents.contains(document) {
            words.append(
                "there \(document.id.room)/\(document.id.name) \(document.touched.components) \(Self.cells(document))")
        }
        for record in state.attendance where !known.attendance.contains(record) { words.append("here \(record)") }
        for record in known.attendance where !state.attendance.contains(record) { words.append("there \(record)") }
        for key in state.keys where !known.keys.contains(key) { words.append("here \(key)") }
        for key in known.keys where !state.keys.contains(key) { words.append("there \(key)") }
        return words.joined(separator: "; ")
    }

    private func shown(_ one: MemoryState, _ other: MemoryState) -> [(Text, String)] {
        one.history.compactMap { shown in
            let there = Set(other.history.first { $0.room == shown.room }?.positions ?? [])
            let missing = shown.positions.filter { !there.contains($0) }
            return missing.isEmpty ? nil : (shown.room, missing.map { "\($0.dot)" }.joined(separator: " "))
        }
    }

    static func cells(_ document: SnapshotDocument) -> String {
        document.cells.map { "\($0.key) \($0.value) by \($0.dot)" }
            .joined(separator: ", ")
    }
}

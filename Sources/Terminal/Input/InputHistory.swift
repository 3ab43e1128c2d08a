/// What was entered before: the newest last, at most `limit` entries, without repeats in a row.
///
/// Walking leaves the draft that was begun as it was: it stands below the newest entry.
struct InputHistory: Hashable, Sendable {
    static let limit = 500

    private(set) var entries: [String] = []
    /// Which entry is shown; `entries.count`: the draft.
    private var place = 0
    private var draft = ""

    mutating func add(_ entry: String) {
        if !entry.isEmpty, entries.last != entry { entries.append(entry) }
        if entries.count > Self.limit { entries.removeFirst(entries.count - Self.limit) }
        place = entries.count
        draft = ""
    }

    /// The entry before the one that is shown; nil where there is none.
    mutating func older(than shown: String) -> String? {
        guard place > 0 else { return nil }
        if place == entries.count { draft = shown }
        place -= 1
        return entries[place]
    }

    mutating func newer() -> String? {
        guard place < entries.count else { return nil }
        place += 1
        return place == entries.count ? draft : entries[place]
    }

    mutating func oldest(than shown: String) -> String? {
        guard !entries.isEmpty, place > 0 else { return nil }
        if place == entries.count { draft = shown }
        place = 0
        return entries[0]
    }

    mutating func newest() -> String? {
        guard place < entries.count else { return nil }
        place = entries.count
        return draft
    }

    /// The newest entry with `text` in it, at `place` or older; and where.
    func find(_ text: String, before place: Int) -> (place: Int, entry: String)? {
        var at = min(place, entries.count) - 1
        while at >= 0 {
            if entries[at].contains(text) { return (at, entries[at]) }
            at -= 1
        }
        return nil
    }
}

import ConvergeCRDT
import ConvergeWire

/// What one session has been shown live of the room it is in, and whether that was right so far.
///
/// Each log's entries come in the order of their seqs; no message is left out; nothing comes before a message of the room
/// that it depends on. What was there before live delivery began is covered by the cursor of that moment.
struct SessionStream {
    private(set) var room: Text = ""
    /// The cursor at the beginning, and what was shown since, as the highest seq of each log.
    private(set) var shown = VersionVector()

    mutating func begin(_ room: Text, at cursor: VersionVector) {
        self.room = room
        shown = cursor
    }

    /// What comes live from here on is what `cursor` does not cover.
    mutating func goOn(from cursor: VersionVector) { shown = cursor }

    /// What is covered by `vector` will not come live.
    mutating func forgive(_ vector: VersionVector) { shown.merge(vector) }

    /// Takes a live frame; what is wrong with it, if anything.
    mutating func take(_ dot: Dot, _ record: Ledger.Record, _ ledger: Ledger) -> (Violation.Rule, String)? {
        let before = shown[dot.replica]
        if dot.seq <= before { return (.order, "\(dot) live after seq \(before) of its log") }
        if record.mustShow {
            let missed = ledger.lastShown(room, dot.replica, through: dot.seq - 1)
            if missed > before {
                return (.order, "\(dot) live, and seq \(missed) of its log left out")
            }
        }
        for past in record.past.components {
            let needed = ledger.lastShown(room, past.replica, through: past.seq)
            if needed > shown[past.replica] {
                return (
                    .causality,
                    "\(dot) depends on \(past), and \(past.replica):\(needed) of \(room) was not shown before"
                )
            }
        }
        shown[dot.replica] = dot.seq
        return nil
    }
}

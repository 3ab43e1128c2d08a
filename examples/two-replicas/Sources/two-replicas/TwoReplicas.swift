// Two replicas of one board change it on their own and send each other what they did, as bytes, over a network that
// delivers late, out of order and twice. In the end both hold the same: ends with 1 if they don't.

import ConvergeCRDT

/// What both share: notes by topic, of which each is a set of lines.
typealias Board = ORMap<String, ORSet<String>>

/// One side: its name, its copy of the board, and the count of what it wrote. Only name and count make its dots; the board
/// itself belongs to nobody.
struct Side {
    let name: String
    let id: ReplicaID
    var board = Board()
    var written: UInt64 = 0

    mutating func nextDot() -> Dot {
        written += 1
        return Dot(replica: id, seq: written)
    }

    /// Writes a line under a topic, and returns what goes to the other side.
    mutating func write(_ line: String, under topic: String) -> [UInt8] {
        let dot = nextDot()
        return say("writes \"\(line)\" under \(topic)", board.update(topic) { $0.add(line, dot: dot) })
    }

    /// Drops a topic with all that stands under it here.
    mutating func drop(_ topic: String) -> [UInt8] {
        say("drops \(topic)", board.remove(topic))
    }

    private func say(_ what: String, _ delta: Board.Delta) -> [UInt8] {
        let bytes = delta.encoded()
        print("\(name) \(what): a delta of \(bytes.count) bytes")
        return bytes
    }

    /// Takes up what the network brought. Bytes from elsewhere may be anything, so reading them can fail.
    mutating func receive(_ bytes: [UInt8]) throws(BinaryError) {
        board.merge(try Board.Delta(decoding: bytes))
        print("\(name) receives \(bytes.count) bytes, and now has \(text)")
    }

    /// The board in words. A set has no order, so who shows it sorts it.
    var text: String {
        let topics = board.keys.sorted().map { topic in
            "\(topic): \(board[topic].map { $0.values.sorted().joined(separator: ", ") } ?? "")"
        }
        return "{" + topics.joined(separator: "; ") + "}"
    }
}

@main
struct TwoReplicas {
    static func main() throws {
        var ann = Side(name: "ann", id: ReplicaID(rawValue: 0xA11))
        var bob = Side(name: "bob", id: ReplicaID(rawValue: 0xB0B))

        print("— Both write, and both hear of it, the later before the earlier, and one twice.")
        let milk = ann.write("milk", under: "food")
        let bread = ann.write("bread", under: "food")
        let saw = bob.write("saw", under: "tools")
        try bob.receive(bread)
        try bob.receive(milk)
        try bob.receive(bread)
        try ann.receive(saw)

        print("— Cut off from each other, ann drops the food while bob adds to it: his line stays, alone.")
        let dropped = ann.drop("food")
        let tea = bob.write("tea", under: "food")
        try ann.receive(tea)
        try bob.receive(dropped)
        try ann.receive(milk)
        try bob.receive(dropped)

        print("— A third reads bob's whole board, and what it missed of ann's; that works too.")
        var third = Side(name: "third", id: ReplicaID(rawValue: 0xC))
        let whole = bob.board.encoded()
        third.board.merge(try Board(decoding: whole))
        let lamp = ann.write("lamp", under: "tools")
        try third.receive(lamp)
        try bob.receive(lamp)

        // A register of which the last write stands, by clocks that never run backwards.
        var clock = HybridClock()
        var here = LWWRegister<String>()
        var there = LWWRegister<String>()
        let first = here.set("Plan", stamp: LWWStamp(timestamp: clock.tick(wall: 1_000), replica: ann.id)).encoded()
        let second = here.set("Plan B", stamp: LWWStamp(timestamp: clock.tick(wall: 990), replica: ann.id)).encoded()
        there.merge(try LWWRegister(decoding: second))
        there.merge(try LWWRegister(decoding: first))
        print("— The title is \"\(here.value ?? "")\" here and \"\(there.value ?? "")\" there.")

        // Equal states have equal bytes, wherever and however they came about.
        let boards = [ann.board, bob.board, third.board]
        guard boards.allSatisfy({ $0 == ann.board && $0.encoded() == ann.board.encoded() }), here == there else {
            throw Difference()
        }
        print("— All hold the same: \(ann.text)")
    }

    /// Thrown out of `main`, it ends the program with 1.
    struct Difference: Error {}
}

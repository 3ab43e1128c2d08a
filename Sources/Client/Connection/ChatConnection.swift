import ConvergeTransport
import ConvergeWire

/// One connection whole: the machine that speaks and the socket that carries. Nothing in it blocks.
struct ChatConnection: ~Copyable {
    private var machine: ConnectionMachine
    private var link: ServerLink

    init(_ machine: consuming ConnectionMachine, over link: consuming ServerLink) {
        self.machine = machine
        self.link = link
    }

    var descriptor: Int32 { link.descriptor }
    /// Something waits until the socket takes it.
    var wantsWrite: Bool { link.wantsWrite || !machine.unsent.isEmpty }
    /// There is more to read that no poll tells of.
    var mayHaveMore: Bool { link.mayHaveMore }

    mutating func send(_ command: ChatCommand) { machine.send(command) }
    mutating func ping(_ number: UInt64) { machine.ping(number) }

    /// Writes what the socket takes; false where the connection is gone.
    mutating func flush() -> Bool {
        if !link.flush() { return false }
        while !machine.unsent.isEmpty {
            switch link.send(machine.unsent) {
            case .moved(let count): machine.sent(count)
            case .wouldBlock: return true
            case .closed: return false
            }
        }
        return true
    }

    /// Reads once, into `buffer`.
    /// - Returns: what came of it; nil where there was nothing to read.
    mutating func receive(_ buffer: UnsafeMutableRawBufferPointer) -> [ConnectionMachine.Event]? {
        switch link.receive(into: buffer) {
        case .wouldBlock: nil
        case .moved(let count): machine.receive(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
        case .closed: machine.endOfStream()
        }
    }

    mutating func endOfStream() -> [ConnectionMachine.Event] { machine.endOfStream() }

    /// Says that it ends; what the socket takes of what is unsent still goes.
    mutating func hangUp() {
        machine.close()
        _ = flush()
        link.close()
    }
}

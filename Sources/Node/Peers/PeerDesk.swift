import ConvergeTransport

/// What the core's thread needs of the loop that has the peer links.
struct PeerDesk: Sendable {
    let mailbox: Mailbox<PeerMessage>
    let inflow: PeerInflow

    /// So many bytes of what came from peers have been handled.
    func workedOff(_ bytes: Int) {
        if inflow.take(bytes) { mailbox.post(.readOn) }
    }
}

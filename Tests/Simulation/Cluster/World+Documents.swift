import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// A document, and what a client was told that its room has beyond its cursor, when it was told that this one has changed.
struct NamedDocument {
    let id: DocumentID
    let given: VersionVector
    let named: VersionVector
}

/// Documents that the end of a resume has named: whoever reads them then must get the change, since it will not come again.
extension World {
    /// The client reads what it was told has changed, as docs/protocol.md says. Where nodes have stores of their own its
    /// runs stay what they were.
    func readNamed(_ frame: ShownFrame, beyond given: VersionVector, _ client: Client, _ connection: Connection) {
        let room = Text(frame.room)
        guard scenario.sharing > 0, let cursor = frame.cursor, connection.anchor.expected == room else { return }
        for name in frame.docs ?? [] {
            let name = Text(name)
            for kind in [DocumentKind.orSet, .register] {
                var sent = sent(.ask, client)
                // What the client knows from elsewhere the node need not have yet.
                sent.named = NamedDocument(
                    id: DocumentID(room: room, kind: kind, name: name), given: given, named: cursor)
                send(.read(.init(kind, doc: name)), ref: newRef(client, sent), client, connection)
            }
        }
    }

    /// When the node has answered may be long after it was asked, so what came meanwhile may be in the answer, or not.
    func read(document frame: ShownFrame, _ sent: Client.Sent, _ client: Client, _ connection: Connection) {
        guard let asked = sent.named, frame.room == asked.id.room.string, ledger.forked.isEmpty, counts.reloads == 0,
            counts.failovers == 0
        else { return }
        counts.namedReads += 1
        var all = VersionVector()
        for replica in ledger.replicas { all.advance(to: Dot(replica: replica, seq: ledger.head(of: replica))) }
        let reference = DocumentsReference(ledger, within: all)
        let lacks: Bool
        switch asked.id.kind {
        case .orSet:
            let items = frame.items ?? []
            lacks = reference.lasting(in: asked.id, of: asked.named, beyond: asked.given).contains {
                !items.contains($0.string)
            }
        default:
            let values = reference.values(of: asked.id, since: asked.named, beyond: asked.given)
            lacks = !values.isEmpty && !values.contains(frame.body)
        }
        guard lacks else { return }
        violate(
            .documents, connection.node,
            "\(asked.id.name) of \(asked.id.room) is read without what a resume has named (client \(client.index))")
    }
}

extension Connection {
    func saw(_ position: Position, _ client: Client) {
        highest = max(highest ?? position, position)
        client.saw(position)
    }
}

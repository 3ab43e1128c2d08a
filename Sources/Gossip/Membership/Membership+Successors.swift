import ConvergeCRDT
import ConvergeWire

// Whose node goes on under another replica: its disk was lost, set back or restored, and it runs again under its name and
// at its address.
//
// What follows, and what does not. Nobody is to wait for the old replica to come back, and nobody to be told of it: it is
// *replaced*. It is not dialled either, since an address is dialled for whoever was last met there (`Dialler`). But it keeps
// its vote on folding until it is forgotten: somebody may still mend its disk and start it, and what it lacks then is there
// entry by entry, and what it wrote can be told from what others have.
//
// The name alone does not say it, nor the address: two nodes may have one name, and an address may be given to another
// node. A member that is only suspected may be alive behind a proxy that is shared, so nothing is said of it yet.

extension MemberRecord {
    struct Place: Hashable, Sendable {
        let name: Text
        let address: Text
    }

    var place: Place { Place(name: name, address: address) }
}

extension Membership {
    /// Who lives where. What has no address can't be told from others. O(members).
    var successors: [MemberRecord.Place: ReplicaID] {
        guard table.records.contains(where: { $0.state == .faulty }) else { return [:] }
        var living: [MemberRecord.Place: ReplicaID] = [:]
        for record in table.records where record.state == .alive && !record.address.isEmpty {
            living[record.place] = record.replica
        }
        if let replica, !hasLeft, !address.isEmpty { living[.init(name: name, address: address)] = replica }
        return living
    }

    /// A member is alive or faulty now: whom it replaces, or who replaces it.
    func tellReplaced(_ at: Int, into effects: inout [MembershipEffect]) {
        let record = table.records[at]
        switch record.state {
        case .faulty:
            if let successor = successors[record.place] { effects.append(.replaced(record.replica, by: successor)) }
        case .alive where !record.address.isEmpty:
            for other in table.records where other.state == .faulty && other.place == record.place && !other.forgotten {
                effects.append(.replaced(other.replica, by: record.replica))
            }
        default: break
        }
    }
}

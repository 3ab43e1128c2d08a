// Takes over the database of the earlier Go server.

import CSQLite
import ConvergeCRDT
import ConvergeWire

enum GoDatabase {
    static func isPresent(in connection: SQLiteConnection) throws(StoreError) -> Bool { false }
    static func adopt(in connection: SQLiteConnection, as replica: ReplicaID) throws(StoreError) -> Int { 0 }
}

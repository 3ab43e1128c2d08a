import ConvergeCRDT
import ConvergeWire

// A snapshot into a shared database: in one transaction, with every replica's row locked, so that no other node's batch
// comes between what is here and what the snapshot tells.

struct PostgresInstall {
    let connection: PostgresConnection
    let timeout: Duration

    /// How many documents, entries or effects go into one round trip.
    private static let page = 256

    /// - Parameters:
    ///   - stage: the final piece with it.
    ///   - guarded: checks that the replica is still this process's.
    func run(
        _ stage: SnapshotStage, _ final: SnapshotChunk, have: VersionVector, guarded: PostgresStatement
    ) throws(StoreError) {
        let begun = try query([
            PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED"),
            PostgresStatement(
                """
                INSERT INTO converge_replica (replica, hash) SELECT r, $2 FROM unnest($1::bigint[]) AS r
                ON CONFLICT (replica) DO NOTHING
                """
            ).binding(each: final.at.components, int8: \.replica.postgres).binding(EntryHash.zero.postgres),
            PostgresStatement("SELECT replica, head, floor, horizon FROM converge_replica ORDER BY replica FOR UPDATE"),
            guarded,
        ])[2]
        var mine = VersionVector()
        var floors = VersionVector()
        var horizon = VersionVector()
        for row in 0..<begun.count {
            mine.advance(to: begun.dot(row, 0))
            floors[begun.replica(row, 0)] = UInt64(clamping: begun.int(row, 2))
            horizon[begun.replica(row, 0)] = UInt64(clamping: begun.int(row, 3))
        }
        let install = try SnapshotInstall(final, have: have, mine: mine)

        for documents in stage.sortedDocuments.pages(of: Self.page) { try join(documents, install) }
        let news = stage.sortedEntries.filter { install.takes($0.dot) }
        for entries in news.pages(of: Self.page) {
            _ = try query([PostgresBatch.insert(Array(entries)) { BatchRules.shown($0) }])
        }
        try moveHeads(install, news, floors, horizon, told: stage.horizon)
        // Keys before redactions: what is erased is then no longer shown, twin or not.
        var effects = news.flatMap { SnapshotInstall.followUp(of: $0) }
        effects += stage.keys.map { .key($0.id, position: $0.position) }
        effects += stage.attendance.map { .attendance($0) }
        for page in effects.pages(of: Self.page) { try apply(Array(page)) }
        let end = try query([PostgresStatement("COMMIT")])
        guard end[0].tag == "COMMIT" else { throw .failed("the transaction was rolled back") }
    }

    private func join(_ documents: ArraySlice<SnapshotDocument>, _ install: SnapshotInstall) throws(StoreError) {
        let here = try PostgresSnapshot.read(documents.map(\.id)) { (statements) throws(StoreError) in
            try query(statements)
        }
        try apply(
            documents.map { document in
                .cells(
                    document.joined(
                        to: here[document.id]?.cells ?? [], context: install.mine, otherContext: install.theirs))
            })
    }

    private func apply(_ effects: [StoreEffect]) throws(StoreError) {
        let statements = PostgresEffects(effects, isNew: { _ in true }).statements(inserted: { _ in false })
        if !statements.isEmpty { _ = try query(statements) }
    }

    private func moveHeads(
        _ install: SnapshotInstall, _ news: [Entry], _ floors: VersionVector, _ horizon: VersionVector,
        told: VersionVector
    ) throws(StoreError) {
        var runs = SnapshotInstall.Runs()
        for entry in news { runs.take(entry.dot) }
        let ends = install.news
        guard !ends.isEmpty else { return }
        let after = ends.map { end in
            let unbroken = runs.unbroken(upTo: end.dot, after: install.mine)
            return install.floor(of: end.dot.replica, own: floors[end.dot.replica], unbroken: unbroken)
        }
        let lost = zip(ends, after).map { end, floor in
            let replica = end.dot.replica
            return install.horizon(of: replica, own: horizon[replica], told: told[replica], floor: floor)
        }
        _ = try query([
            PostgresStatement(
                """
                UPDATE converge_replica AS r
                SET head = n.head, floor = n.floor, horizon = n.horizon, clock = greatest(r.clock, $6), hash = n.hash
                FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
                    AS n (replica, head, floor, horizon, hash)
                WHERE r.replica = n.replica
                """
            ).binding(dots: ends.map(\.dot)).binding(each: after, int8: { Int64(clamping: $0) })
                .binding(each: lost, int8: { Int64(clamping: $0) })
                .binding(each: ends, bytes: \.hash.postgres).binding(install.end.clock.postgres)
        ])
    }

    private func query(_ statements: [PostgresStatement]) throws(StoreError) -> [PostgresResult] {
        try connection.query(statements, by: PostgresDeadline(after: timeout))
    }
}

extension Array {
    fileprivate func pages(of size: Int) -> [ArraySlice<Element>] {
        stride(from: 0, to: count, by: size).map { self[$0..<Swift.min($0 + size, count)] }
    }
}

import CPostgres
import Glibc

/// One connection to PostgreSQL: statements go out together and their answers come back together (libpq's pipeline
/// mode), and nothing waits past a deadline.
///
/// Invariant: a connection on which anything but a refused statement went wrong is closed and never used again, so an
/// answer can't be taken for that of another question. It keeps no session state on the server: no SET, LISTEN,
/// advisory lock, temporary table or prepared statement, and so goes through a transaction pooler.
///
/// Name resolution is libpq's and blocking; all else is bounded by the deadline.
final class PostgresConnection {
    private var handle: OpaquePointer?
    private let address: PostgresAddress

    /// Connects.
    init(to address: PostgresAddress, by deadline: PostgresDeadline) throws(StoreError) {
        self.address = address
        guard address.isReadable else {
            throw .unreachable("the connection string can't be read; it is a URL (postgres://…) or key=value pairs")
        }
        handle = address.dsn.withCString { dsn in
            "dbname".withCString { database in
                "fallback_application_name".withCString { application in
                    "converge".withCString { name in
                        PQconnectStartParams([database, application, nil], [dsn, name, nil], 1)
                    }
                }
            }
        }
        guard let handle else { throw .failed("out of memory") }
        // Notices would go to stderr.
        _ = PQsetNoticeProcessor(handle, { _, _ in }, nil)
        do throws(PostgresFailure) {
            var next = PQstatus(handle) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
            while next != PGRES_POLLING_OK {
                guard next != PGRES_POLLING_FAILED else { throw lost(sent: false) }
                try wait(for: next == PGRES_POLLING_READING ? POLLIN : POLLOUT, by: deadline, sent: false)
                next = PQconnectPoll(handle)
            }
            guard PQsetnonblocking(handle, 1) == 0, PQenterPipelineMode(handle) == 1 else { throw lost(sent: false) }
        } catch {
            if case .timeout = error { throw .unreachable("no connection in time") }
            let failure = error.storeError(committing: false)
            throw if case .failed(let what) = failure { .unreachable(what) } else { failure }
        }
    }

    deinit { close() }

    var isOpen: Bool { handle != nil }

    func close() {
        if let handle { PQfinish(handle) }
        handle = nil
    }

    /// Closes the connection where the server has already ended it: what is sent after this returns true was not sent
    /// to a connection known to be dead, so that the loss of it leaves nothing in doubt.
    func isAlive(by deadline: PostgresDeadline) -> Bool {
        guard let handle else { return false }
        var descriptor = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        guard poll(&descriptor, 1, 0) != 0 else { return true }
        // Between statements the server has nothing to say but parting words, behind which the end comes a moment later,
        // and parameter changes. Which of them it is an empty question tells.
        if PQconsumeInput(handle) == 0 || PQstatus(handle) == CONNECTION_BAD || (try? run([], by: deadline)) == nil {
            close()
        }
        return isOpen
    }

    /// Sends the statements in one round trip; gives each one's result, or what was wrong with the first that failed.
    ///
    /// - Parameter renewing: where given, every arrival of bytes sets the deadline this far into the future: for reads
    ///   whose length is not bounded.
    func run(
        _ statements: [PostgresStatement], by deadline: PostgresDeadline, renewing: Duration? = nil
    ) throws(PostgresFailure) -> [PostgresResult] {
        guard let handle else { throw .lost("the connection is closed", state: nil, sent: false) }
        for statement in statements {
            guard Self.send(statement, on: handle) else { throw lost(sent: false) }
        }
        guard PQpipelineSync(handle) == 1 else { throw lost(sent: true) }
        var deadline = deadline
        var results: [PostgresResult] = []
        var refusal: PostgresFailure?
        var ended = 0
        while true {
            var unsent = PQflush(handle)
            while PQisBusy(handle) == 1 {
                try wait(for: unsent == 1 ? POLLIN | POLLOUT : POLLIN, by: deadline, sent: true)
                guard PQconsumeInput(handle) == 1 else { throw lost(sent: refusal == nil) }
                if unsent == 1 { unsent = PQflush(handle) }
                if let renewing { deadline = PostgresDeadline(after: renewing) }
            }
            guard let raw = PQgetResult(handle) else {
                ended += 1
                guard ended <= statements.count + 1, PQstatus(handle) != CONNECTION_BAD else {
                    throw lost(sent: refusal == nil)
                }
                continue
            }
            let status = PQresultStatus(raw)
            if status == PGRES_PIPELINE_SYNC {
                PQclear(raw)
                if let refusal { throw refusal }
                guard results.count == statements.count else { throw lost(sent: true) }
                return results
            }
            if status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK {
                results.append(PostgresResult(raw))
                continue
            }
            // After a refused statement the server skips all up to the sync: those come as PGRES_PIPELINE_ABORTED.
            if status != PGRES_PIPELINE_ABORTED, refusal == nil {
                let failure = failure(of: raw)
                if case .lost = failure {
                    PQclear(raw)
                    close()
                    throw failure
                }
                refusal = failure
            }
            PQclear(raw)
        }
    }

    /// `run`, where nothing is committed by it or a commit may be repeated.
    func query(
        _ statements: [PostgresStatement], by deadline: PostgresDeadline, renewing: Duration? = nil
    ) throws(StoreError) -> [PostgresResult] {
        do {
            return try run(statements, by: deadline, renewing: renewing)
        } catch {
            throw error.storeError(committing: false)
        }
    }

    // MARK: libpq

    private static func send(_ statement: PostgresStatement, on handle: OpaquePointer) -> Bool {
        let count = statement.types.count
        // A pointer to no bytes would be NULL's.
        return (statement.bytes + [0]).withUnsafeBytes { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            let values = statement.ranges.map { range in range.flatMap { range in base.map { $0 + range.lowerBound } } }
            let lengths = statement.ranges.map { Int32($0?.count ?? 0) }
            let formats = [Int32](repeating: 1, count: count)
            return PQsendQueryParams(
                handle, statement.sql, Int32(count), statement.types, values, lengths, formats, 1) == 1
        }
    }

    private func failure(of raw: OpaquePointer) -> PostgresFailure {
        func field(_ code: Character) -> String? {
            code.asciiValue.flatMap { PQresultErrorField(raw, Int32($0)) }.map { String(cString: $0) }
        }
        // The primary message only: the detail quotes rows.
        let state = field("C").map(SQLState.init(rawValue:))
        let severity = field("V")
        guard let state, severity != "FATAL", severity != "PANIC" else {
            let words = field("M") ?? PQresultErrorMessage(raw).map { String(cString: $0) } ?? "connection lost"
            return .lost(address.redact(words), state: state, sent: true)
        }
        return .refused(state, message: address.redact(field("M") ?? "refused"), column: field("c"))
    }

    /// Closes, and says why.
    private func lost(sent: Bool) -> PostgresFailure {
        let words = handle.flatMap { PQerrorMessage($0) }.map { String(cString: $0) } ?? ""
        close()
        return .lost(words.isEmpty ? "connection lost" : address.redact(words), state: nil, sent: sent)
    }

    private func wait(for events: Int32, by deadline: PostgresDeadline, sent: Bool) throws(PostgresFailure) {
        guard let handle else { throw .lost("the connection is closed", state: nil, sent: sent) }
        var descriptor = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
        while true {
            let ready = poll(&descriptor, 1, deadline.milliseconds)
            if ready > 0 { return }
            if ready < 0, errno == EINTR { continue }
            close()
            throw .timeout(sent: sent)
        }
    }
}

/// When an operation must have ended.
struct PostgresDeadline {
    private let instant: ContinuousClock.Instant

    init(after duration: Duration) { instant = .now + duration }

    /// What is left, rounded up; 0 when it has passed.
    var milliseconds: Int32 {
        let left = ContinuousClock.now.duration(to: instant)
        guard left > .zero else { return 0 }
        let (seconds, attoseconds) = left.components
        return Int32(clamping: min(seconds, 1_000_000) * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
    }

    var hasPassed: Bool { ContinuousClock.now >= instant }
}

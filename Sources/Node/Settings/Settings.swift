import ConvergeStorage

/// What one node is started with: the environment's variables, overridden by flags, checked as a whole.
///
/// A pure value: it is given the environment and reads nothing of the world itself. Either every value is within its
/// bounds, or there are no settings but a list of what is wrong.
public struct Settings: Sendable {
    public var options = ServerOptions()
    public var adapter: Adapter = .sqlite
    public var sqlitePath = "converge.db"
    public var sqliteSync: SyncMode = .full
    public var postgresDSN: Secret?
    /// A file that holds the secret; whoever starts the node reads it and fills `options.jwtSecret`.
    public var jwtSecretFile: String?
    /// Refuses to start with a secret that can be guessed.
    public var requiresStrongSecret = false

    // The cluster: what `options.cluster` is made of, once all of it is known.
    var gossipAddress: ListenAddress?
    var gossipAdvertise: String?
    var gossipPeers: [String] = []
    /// Files; both or none.
    var tlsCertificate: String?
    var tlsKey: String?
    var clusterSecrets: [Secret] = []
    var clusterName = "converge"
    var probeInterval: Duration = .seconds(1)
    var suspectTimeout: Duration = .seconds(4)

    /// What was set, by variable; all else is the default.
    public private(set) var sources: [String: Source] = [:]
    /// What is odd, but no reason not to start.
    public private(set) var warnings: [String] = []

    public enum Adapter: String, Sendable { case sqlite, postgres }

    /// Where a value comes from.
    public enum Source: String, Sendable {
        case environment
        case flag
    }

    /// All defaults.
    public init() {}

    /// - Parameters:
    ///   - environment: the process's variables. One that is set to nothing counts as not set.
    ///   - flags: by name without the dashes (`history-limit`), aliases included; a flag's variable is not looked at.
    public init(environment: [String: String], flags: [String: String] = [:]) throws(InvalidSettings) {
        var errors: [SettingsError] = []
        var flags = flags
        let given = Setting.all.map { setting in (setting: setting, flag: setting.take(from: &flags)) }
        for name in flags.keys.sorted() {
            errors.append(SettingsError(variable: "--\(name)", problem: "there is no such flag"))
        }
        for (setting, flag) in given where flag == nil {
            guard let value = setting.value(environment[setting.variable]) else { continue }
            let shown = setting.isConfidential ? nil : value
            apply(setting, value, from: .environment, named: setting.variable, shown: shown, &errors)
        }
        // After the whole environment: --port also overrides the port in CONVERGE_ADDR.
        for case (let setting, let flag?) in given {
            guard let value = setting.value(flag.value) else {
                errors.append(SettingsError(variable: "--\(flag.name)", value: flag.value, problem: setting.accepted))
                continue
            }
            let shown = setting.isConfidential ? nil : value
            apply(setting, value, from: .flag, named: "--\(flag.name)", shown: shown, &errors)
        }
        checkTogether(environment, &errors)
        checkCluster(&errors)
        options.cluster = clusterSettings
        collectWarnings(environment)
        if !errors.isEmpty { throw InvalidSettings(errors: errors) }
    }

    /// Which store, with what it needs.
    public var store: StoreChoice {
        switch adapter {
        case .sqlite: .sqlite(path: sqlitePath, sync: sqliteSync)
        case .postgres: .postgres(dsn: postgresDSN ?? Secret(""))
        }
    }

    public enum StoreChoice: Hashable, Sendable {
        case sqlite(path: String, sync: SyncMode)
        case postgres(dsn: Secret)
    }

    private mutating func apply(
        _ setting: Setting, _ value: String, from source: Source, named name: String, shown: String?,
        _ errors: inout [SettingsError]
    ) {
        if let problem = setting.read(value, &self) {
            errors.append(SettingsError(variable: name, value: shown, problem: problem))
        } else {
            sources[setting.variable] = source
        }
    }

    /// What no setting can tell by itself.
    private mutating func checkTogether(_ environment: [String: String], _ errors: inout [SettingsError]) {
        if sources["CONVERGE_PING_PERIOD"] == nil {
            options.pingPeriod = options.pongWait * 9 / 10
        } else if options.pingPeriod >= options.pongWait {
            let pong = DurationText.text(options.pongWait)
            errors.append(
                SettingsError(
                    variable: "CONVERGE_PING_PERIOD", value: DurationText.text(options.pingPeriod),
                    problem: "must be less than CONVERGE_PONG_WAIT (\(pong))"))
        }
        let dsnFailed = errors.contains { ["CONVERGE_DB_DSN", "--db-dsn", "--dsn"].contains($0.variable) }
        if adapter == .postgres, postgresDSN == nil, !dsnFailed {
            errors.append(
                SettingsError(
                    variable: "CONVERGE_DB_DSN",
                    problem: "must be set with CONVERGE_DB_ADAPTER=postgres: \(ConnectionString.accepted)"))
        }
        if sources["CONVERGE_DB_DSN"] == .flag, let postgresDSN,
            ConnectionString(String(decoding: postgresDSN.bytes, as: UTF8.self))?.hasSecret == true
        {
            errors.append(
                SettingsError(
                    variable: "--db-dsn",
                    problem: "must not hold a password, which anybody could read in the list of processes: "
                        + "set CONVERGE_DB_DSN in the environment"))
        }
        switch (sources["CONVERGE_JWT_SECRET"], sources["CONVERGE_JWT_SECRET_FILE"]) {
        case (_?, .environment):
            errors.append(
                SettingsError(
                    variable: "CONVERGE_JWT_SECRET_FILE", problem: "must not be set beside CONVERGE_JWT_SECRET"))
        case (_?, .flag):
            options.jwtSecret = nil
            sources["CONVERGE_JWT_SECRET"] = nil
        default: break
        }
        if requiresStrongSecret, let weakness = options.jwtSecret?.weakness {
            errors.append(SettingsError(variable: "CONVERGE_JWT_SECRET", problem: weakness))
        }
        switch (tlsCertificate, tlsKey) {
        case (let certificate?, let key?): options.tls = TLSFiles(certificate: certificate, key: key)
        case (_?, nil):
            errors.append(
                SettingsError(variable: "CONVERGE_TLS_KEY", problem: "must be set beside CONVERGE_TLS_CERT"))
        case (nil, _?):
            errors.append(
                SettingsError(variable: "CONVERGE_TLS_CERT", problem: "must be set beside CONVERGE_TLS_KEY"))
        case (nil, nil): break
        }
    }

    /// Notes what is odd. For what is found out after the settings were read.
    mutating func warn(_ warning: String) { warnings.append(warning) }

    /// Handled elsewhere: by `converge chat`.
    private static let known: Set<String> = ["CONVERGE_TOKEN"]

    private mutating func collectWarnings(_ environment: [String: String]) {
        let variables = Set(Setting.all.map(\.variable))
        for name in environment.keys.sorted() where name.hasPrefix("CONVERGE_") && !variables.contains(name) {
            if environment[name]?.trimmed.isEmpty ?? true || Self.known.contains(name) { continue }
            // A setting that is shared with others has no prefix: PORT.
            let bare = String(name.dropFirst("CONVERGE_".count))
            let nearest = variables.contains(bare) ? bare : Spelling.nearest(to: name, among: variables.sorted())
            warnings.append("\(name) is not a setting" + (nearest.map { ": did you mean \($0)?" } ?? ""))
        }
        for name in idleClusterSettings {
            warnings.append("\(name) has no effect: without CONVERGE_GOSSIP_ADDR this is a single node")
        }
        if adapter == .sqlite, postgresDSN != nil {
            warnings.append("CONVERGE_DB_DSN has no effect: CONVERGE_DB_ADAPTER is sqlite")
        }
        if options.jwtSecret == nil, jwtSecretFile == nil {
            warnings.append("no CONVERGE_JWT_SECRET is set: every client will be refused")
        }
        if let weakness = options.jwtSecret?.weakness { warnings.append("CONVERGE_JWT_SECRET: \(weakness)") }
        if options.maxBodyLength > options.maxMessageBytes {
            warnings.append("CONVERGE_MAX_BODY_LENGTH is over CONVERGE_MAX_MESSAGE_BYTES, which ends a message first")
        }
    }
}

extension Setting {
    /// May hold a secret, so that what was set must not be repeated in an error.
    fileprivate var isConfidential: Bool { isSecret || variable == "CONVERGE_DB_DSN" }

    /// What was set, or nil for nothing: blanks around a value are not part of it, save in a secret.
    fileprivate func value(_ written: String?) -> String? {
        guard let written else { return nil }
        let value = isSecret ? written : written.trimmed
        return value.isEmpty ? nil : value
    }

    /// Takes this setting's flag, under whichever of its names, out of `flags`.
    fileprivate func take(from flags: inout [String: String]) -> (name: String, value: String)? {
        guard let flag else { return nil }
        var taken: (name: String, value: String)?
        for name in aliases + [flag] {
            if let value = flags.removeValue(forKey: name) { taken = (name, value) }
        }
        return taken
    }
}

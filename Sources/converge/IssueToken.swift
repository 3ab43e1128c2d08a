import ConvergeNode

/// `converge token USER [NAME] [--expires 24h]`: prints a token and nothing else.
enum IssueToken {
    static func run(_ words: [String]) -> Int32 {
        let arguments: Arguments
        do throws(Arguments.Mistake) {
            arguments = try Arguments(words, flags: [.init("expires"), .init("jwt-secret-file")])
        } catch {
            return Console.misused(error.message)
        }
        let names = arguments.positional
        guard (1...2).contains(names.count), names.allSatisfy({ !$0.allSatisfy(\.isWhitespace) }) else {
            return Console.misused("token needs a user, and perhaps a name: converge token USER [NAME] [--expires 24h]")
        }
        let expires = arguments.values["expires"] ?? "24h"
        guard let lifetime = DurationText.parse(expires), lifetime >= .zero else {
            return Console.misused(
                "--expires=\"\(Console.escaped(expires))\": must be a duration, such as 24h, 30m or 7d")
        }

        do throws(SettingsError) {
            let environment = Console.environment
            let secret = try secret(environment, arguments)
            let issuer = TokenIssuer(
                secret: secret, issuer: set(environment["CONVERGE_JWT_ISSUER"]),
                audience: set(environment["CONVERGE_JWT_AUDIENCE"]))
            let token = issuer.token(
                user: names[0], displayName: names.count > 1 ? names[1] : nil,
                lifetime: lifetime == .zero ? nil : lifetime)
            Console.say(token + "\n")
            return 0
        } catch {
            return Console.misused(error.message)
        }
    }

    private static func secret(
        _ environment: [String: String], _ arguments: Arguments
    ) throws(SettingsError) -> Secret {
        if let file = arguments.values["jwt-secret-file"] {
            return try Secret(file: file, variable: "--jwt-secret-file")
        }
        if let secret = environment["CONVERGE_JWT_SECRET"], !secret.isEmpty {
            return try Secret(variable: "CONVERGE_JWT_SECRET", value: secret)
        }
        if let file = set(environment["CONVERGE_JWT_SECRET_FILE"]) { return try Secret(file: file) }
        throw SettingsError(
            variable: "CONVERGE_JWT_SECRET", problem: "must be set to the secret that the server has")
    }

    private static func set(_ value: String?) -> String? {
        guard let value, !value.allSatisfy(\.isWhitespace) else { return nil }
        return value
    }
}

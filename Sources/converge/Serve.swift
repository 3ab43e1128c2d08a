import ConvergeNode
import ConvergeStorage
import ConvergeTransport
import Glibc

/// `converge serve`: settings, store, server, and the signals that end it.
enum Serve {
    static func run(_ words: [String]) -> Int32 {
        let settings: Settings
        let isCheck: Bool
        do throws(Arguments.Mistake) {
            let arguments = try Arguments(words, flags: Settings.flags + [.init("check", isSwitch: true)])
            if let word = arguments.positional.first {
                return Console.misused("serve takes flags only, not \"\(Console.escaped(word))\": converge help serve")
            }
            isCheck = arguments.values["check"] != nil
            let flags = arguments.values.filter { $0.key != "check" }
            switch read(Console.environment, flags: flags) {
            case .success(let read): settings = read
            case .failure(let invalid):
                for error in invalid.errors { Console.complain("converge: \(error.message)\n") }
                return 2
            }
        } catch {
            return Console.misused(error.message)
        }
        for warning in settings.warnings { Console.complain("converge: warning: \(Console.escaped(warning))\n") }
        if isCheck {
            Console.say(settings.listing)
            return 0
        }
        return serve(settings)
    }

    private static func read(
        _ environment: [String: String], flags: [String: String]
    ) -> Result<Settings, InvalidSettings> {
        do throws(InvalidSettings) {
            var settings = try Settings(environment: environment, flags: flags)
            do throws(SettingsError) {
                try settings.readSecretFile()
                try settings.checkCertificate()
            } catch {
                throw InvalidSettings(errors: [error])
            }
            return .success(settings)
        } catch {
            return .failure(error)
        }
    }
}

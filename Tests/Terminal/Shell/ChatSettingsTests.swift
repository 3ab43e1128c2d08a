import ConvergeClient
import Testing

@testable import ConvergeTerminal

@Suite("The chat's file")
struct ChatSettingsTests {
    @Test("each setting is read")
    func all() throws {
        let settings = try ChatSettings(
            file: """
                # nodes of one cluster
                server = ws://127.0.0.1:8081
                server = wss://chat.example.org

                room = lobby
                room = dev
                token-command = pass show converge | head -n 1
                ca = ~/ca.pem
                outbox = /tmp/outbox
                colours = off
                  ascii=on
                members = off
                bell = all
                """, home: "/home/ann")
        #expect(settings.servers.map(\.port) == [8081, 443] && settings.rooms == ["lobby", "dev"])
        #expect(
            settings.tokenCommand == "pass show converge | head -n 1" && settings.authorityFile == "/home/ann/ca.pem")
        #expect(!settings.hasColours && settings.isASCII && settings.hasMouse && settings.outboxFile == "/tmp/outbox")
        #expect(settings.screen.showsMembers == false && settings.screen.bell == .all)
    }

    @Test(
        "a mistake is told with its line",
        arguments: [
            ("\nrom = x", 2, "there is no setting \"rom\""), ("server", 1, "\"server\" is not of the form"),
            ("server = ftp://x", 1, "is not a server's address"), ("room =", 1, "room has no value"),
            ("#\n\nbell = loud", 3, "must be off, mentions or all"), ("ascii = maybe", 1, "must be on or off"),
            ("token = secret", 1, "a token does not stand in this file"),
        ])
    func mistakes(text: String, line: Int, words: String) {
        #expect {
            _ = try ChatSettings(file: text, home: nil)
        } throws: { error in
            guard let problem = error as? ChatSettings.Problem else { return false }
            return problem.line == line && problem.text.contains(words) && !problem.text.contains("secret")
        }
    }
}

@Suite("The token command")
struct TokenCommandTests {
    @Test("the first line that it prints is the token")
    func token() throws {
        #expect(try TokenCommand(command: "echo; echo '  abc.def '; echo more").run(isInteractive: false) == "abc.def")
    }

    @Test("what went wrong is told with the command's own words")
    func failures() {
        #expect(throws: TokenCommand.Failure.ended(3, "no key")) {
            _ = try TokenCommand(command: "echo no key >&2; exit 3").run(isInteractive: false)
        }
        #expect(throws: TokenCommand.Failure.saidNothing) {
            _ = try TokenCommand(command: "true").run(isInteractive: false)
        }
    }
}

import Testing

@testable import ConvergeNode

@Suite("Command-line arguments")
struct ArgumentsTests {
    private let flags: [Arguments.Flag] = [.init("port"), .init("host"), .init("check", isSwitch: true)]

    @Test("flags take the next word or what stands behind the equals sign")
    func values() throws {
        let arguments = try Arguments(
            ["--port", "80", "ana", "--host=a=b", "--check", "-", "--", "--port"], flags: flags)
        #expect(arguments.values == ["port": "80", "host": "a=b", "check": "1"])
        #expect(arguments.positional == ["ana", "-", "--port"])
    }

    @Test("a value may be empty, negative, or a switch's")
    func oddValues() throws {
        #expect(try Arguments(["--port=", "--check=0"], flags: flags).values == ["port": "", "check": "0"])
        #expect(try Arguments(["--port", "-1"], flags: flags).values == ["port": "-1"])
        #expect(try Arguments(["--port", ""], flags: flags).values == ["port": ""])
    }

    @Test(
        "mistakes say what was meant",
        arguments: [
            (["--prot", "1"], "there is no flag --prot: did you mean --port?"), (["--xyz"], "there is no flag --xyz"),
            (["-port", "1"], "there is no flag -port: did you mean --port?"), (["--port"], "--port needs a value"),
            (["--port", "--check"], "--port needs a value"), (["--port", "1", "--port=2"], "--port is given twice"),
            (["---port", "1"], "there is no flag ---port: did you mean --port?"), (["--="], "there is no flag --"),
        ])
    func mistakes(words: [String], message: String) {
        do {
            _ = try Arguments(words, flags: flags)
            Issue.record("\(words) was read")
        } catch {
            #expect(error.message == message)
        }
    }

    @Test("every setting's flag is one of serve's")
    func serve() throws {
        let arguments = try Arguments(["--port", "1", "--db", "x", "--echo"], flags: Settings.flags)
        #expect(try Settings(environment: [:], flags: arguments.values).options.echo)
    }
}

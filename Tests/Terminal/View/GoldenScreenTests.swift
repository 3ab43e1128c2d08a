import Testing

@testable import ConvergeTerminal

@Suite("Golden screens")
struct GoldenScreenTests {
    @Test(
        "the screen is as it was drawn before", arguments: [(80, 24), (200, 60), (40, 12), (24, 8), (10, 4)])
    func sizes(columns: Int, rows: Int) {
        Golden.expect(ScreenDriver.scene(columns: columns, rows: rows).grid, "scene-\(columns)x\(rows)")
    }

    @Test("with ASCII alone, and without colours")
    func ascii() {
        var settings = ScreenSettings()
        settings.isASCII = true
        settings.hasColours = false
        let grid = ScreenDriver.scene(columns: 80, rows: 24, settings: settings).grid
        Golden.expect(grid, "ascii-80x24")
        #expect(grid.cells.allSatisfy { $0.cluster.isASCII && $0.style.colour == .standard })
    }

    @Test("not connected, with what waits to be sent")
    func lost() {
        var driver = ScreenDriver.scene(columns: 80, rows: 24)
        driver.event(.waiting(room: "lobby", until: driver.now + 4_500, reason: "10.0.0.1:8080: Connection refused"))
        driver.press(.control("u"))
        driver.enter("is anybody there?")
        Golden.expect(driver.grid, "lost-80x24")
    }

    @Test("scrolled up, with members beside and an offer of completions below")
    func scrolled() {
        var driver = ScreenDriver.scene(columns: 80, rows: 24)
        driver.press(.control("u"))
        driver.press(.named(.pageUp))
        driver.press(.named(.function(4)))
        driver.say("Bob", "something new")
        driver.type("/")
        driver.press(.named(.tab))
        Golden.expect(driver.grid, "scrolled-80x24")
    }

    @Test("more members than fit, scrolled")
    func members() {
        var driver = ScreenDriver.scene(columns: 80, rows: 24)
        driver.event(
            .members(
                room: "lobby",
                (10..<60).map { ScreenMember(userID: "user\($0)", name: "User \($0)", sessions: $0 == 40 ? 2 : 1) },
                count: 70))
        driver.press(.named(.function(4)))
        driver.press(.named(.pageDown, .alt))
        driver.press(.wheel(up: false, column: 75, row: 5))
        Golden.expect(driver.grid, "members-80x24")
    }

    @Test("the help, and a refusal above what is typed")
    func help() {
        var driver = ScreenDriver.scene(columns: 80, rows: 24)
        driver.press(.named(.function(1)))
        Golden.expect(driver.grid, "help-80x24")
        driver.press(.named(.escape))
        driver.press(.control("u"))
        driver.event(.nodes(names: [:], bodyLimit: 20))
        driver.enter("more than twenty bytes")
        Golden.expect(driver.grid, "split-80x24")
    }

    @Test("a message of several lines that is typed, and the messages alone")
    func bare() {
        var driver = ScreenDriver.scene(columns: 80, rows: 24)
        driver.press(.paste("\nconsider\n\tthis"))
        driver.press(.alt("z"))
        Golden.expect(driver.grid, "bare-80x24")
    }
}

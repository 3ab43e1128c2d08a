import ConvergeCRDT
import Testing

@testable import ConvergeNode

@Suite("Reports of links") struct LinkReportsTests {
    private let peer = ReplicaID(rawValue: 1)

    @Test("a second link to one process is no news; one to another process is, and one after a loss")
    func once() {
        var reports = LinkReports()
        var news: [Bool] = []
        for process in [7, 7, 8] as [UInt64] { news.append(reports.linked(peer, process: process)) }
        news.append(reports.unlinked(peer, isReplaced: false, at: 0))
        news.append(reports.linked(peer, process: 8))
        #expect(news == [true, false, true, true, true])
    }

    @Test("a link that another one replaces is told of neither at its end nor at the other's beginning")
    func crossing() {
        var reports = LinkReports()
        var news = [reports.linked(peer, process: 7), reports.unlinked(peer, isReplaced: true, at: 100)]
        var lost = reports.takeLost(at: 100 + LinkReports.grace - 1)
        news.append(reports.linked(peer, process: 7))
        lost += reports.takeLost(at: .max)
        #expect(news == [true, false, false] && lost.isEmpty)
    }

    @Test("when the other one doesn't come, the link is lost, once")
    func lost() {
        var reports = LinkReports()
        _ = reports.linked(peer, process: 7)
        _ = reports.unlinked(peer, isReplaced: true, at: 100)
        let lost = reports.takeLost(at: 100 + LinkReports.grace)
        let again = reports.takeLost(at: .max)
        let isNews = reports.linked(peer, process: 7)
        #expect(lost == [peer] && again.isEmpty && isNews)
    }
}

import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeNode

/// What a session that is not simply live is shown, case by case.
@Suite("Feed") struct FeedTests {
    private static let a = ReplicaID(rawValue: 1)
    private static let b = ReplicaID(rawValue: 2)

    private func vector(_ a: UInt64, _ b: UInt64 = 0) -> VersionVector {
        VersionVector([Dot(replica: Self.a, seq: a), Dot(replica: Self.b, seq: b)])
    }

    private func dot(_ seq: UInt64, _ replica: ReplicaID = Self.a) -> Dot { Dot(replica: replica, seq: seq) }

    /// What has been handed out, where it does not matter.
    private static let handedOut = VersionVector([Dot(replica: a, seq: 99), Dot(replica: b, seq: 99)])
    /// Another node's log is this node's own.
    private static let elsewhere = Dot(replica: ReplicaID(rawValue: 3), seq: 0)

    private func resume(
        from cursor: VersionVector, entered: VersionVector, position: VersionVector, own: Dot? = elsewhere
    ) -> Feed {
        Feed(resumingFrom: cursor, shown: Feed.Shown(since: entered, position: position, feed: nil), own: own)
    }

    @Test("one page is asked for at a time, and live frames wait while it is read")
    func asking() throws {
        var feed = resume(from: vector(1), entered: vector(9), position: vector(9))
        #expect(feed.live(dot(10), position: vector(9)) == .skip)  // a page will have it
        let asked = feed.ask(1, at: Self.handedOut)
        let question = try #require(asked)
        #expect(question.cursor == vector(1) && question.purpose == .resume)
        #expect(feed.ask(2, at: Self.handedOut) == nil)
        #expect(feed.live(dot(11), position: vector(10)) == .hold)
        #expect(feed.live(nil, position: vector(11)) == .hold)
        #expect(feed.live(dot(12), position: vector(11)) == .hold)
        #expect(feed.read(Feed.Page(reached: vector(9), isLevel: true), 2) == .ignore)
        // The page has 11, and 12 came after it was read.
        #expect(feed.read(Feed.Page(reached: vector(11), isLevel: true), 1) == .level(show: [1, 2]))
        #expect(feed.ask(3, at: Self.handedOut) == nil && feed.recovered && !feed.isResuming)
    }

    @Test("what a slow session was fed before it is handed out is known to be fed; what it resumed to it was not")
    func fedAhead() {
        var feed = Feed(catchingUpFrom: vector(5))
        _ = feed.ask(1, at: Self.handedOut)
        #expect(!feed.hasFed(dot(7)))
        _ = feed.read(Feed.Page(reached: vector(8), isLevel: true), 1)
        #expect(feed.hasFed(dot(7)) && feed.hasFed(dot(8)) && !feed.hasFed(dot(9)))
        // The cursor that it resumes from is what its client says it has seen, here or elsewhere.
        let resume = resume(from: vector(8), entered: vector(5), position: vector(5))
        #expect(!resume.hasFed(dot(7)))
    }

    @Test("frames that are not stored are held over pages, others are on the next page")
    func unstored() {
        var feed = resume(from: vector(1), entered: vector(9), position: vector(9))
        #expect(feed.live(nil, position: vector(9)) == .hold)
        _ = feed.ask(1, at: Self.handedOut)
        #expect(feed.live(dot(10), position: vector(9)) == .hold)
        #expect(feed.read(Feed.Page(reached: vector(5), isLevel: false), 1) == .more(held: [0]))
        #expect(feed.live(dot(11), position: vector(10)) == .skip)
        _ = feed.ask(2, at: Self.handedOut)
        #expect(feed.readFailed(2) == .more(held: [0]))
        _ = feed.ask(3, at: Self.handedOut)
        #expect(feed.read(Feed.Page(reached: vector(11), isLevel: true), 3) == .level(show: [0]))
    }

    @Test("too many held frames: the page that is read can't be the last")
    func overflow() {
        var feed = resume(from: vector(1), entered: vector(9), position: vector(9))
        _ = feed.ask(1, at: Self.handedOut)
        #expect(feed.live(dot(10), position: vector(9)) == .hold)
        feed.overflow()
        #expect(feed.live(dot(11), position: vector(10)) == .skip)
        #expect(feed.read(Feed.Page(reached: vector(9), isLevel: true), 1) == .more(held: []))
        _ = feed.ask(2, at: Self.handedOut)
        #expect(feed.read(Feed.Page(reached: vector(11), isLevel: true), 2) == .level(show: []))
    }

    @Test(
        "what the client has seen on another node is not shown when it comes here, and stays hidden until all of it came"
    )
    func filter() {
        var feed = resume(from: vector(3, 7), entered: vector(9, 4), position: vector(9, 4))
        _ = feed.ask(1, at: Self.handedOut)
        _ = feed.read(Feed.Page(reached: vector(9, 7), isLevel: true), 1)
        #expect(feed.cursor == vector(9, 7))
        #expect(feed.live(dot(5, Self.b), position: vector(9, 4)) == .skip)
        #expect(feed.live(dot(10), position: vector(9, 5)) == .show)
        #expect(feed.live(dot(6, Self.b), position: nil) == .skip)
        #expect(feed.live(dot(7, Self.b), position: vector(10, 6)) == .skip)
        #expect(feed.live(dot(11), position: nil) == .show)
        #expect(feed.live(dot(8, Self.b), position: vector(11, 7)) == .rejoin)
    }

    @Test("what has been dropped beyond the cursor is told, for logs that the cursor does not name as well")
    func pruned() {
        for (cursor, pruned, recovered) in [
            (vector(5, 2), vector(5, 2), true), (vector(5, 2), vector(6, 2), false), (vector(5), vector(5, 1), false),
        ] {
            var feed = resume(from: cursor, entered: vector(9, 9), position: vector(9, 9))
            _ = feed.ask(1, at: Self.handedOut)
            var page = Feed.Page(reached: vector(9, 9), isLevel: true)
            page.horizon = pruned
            _ = feed.read(page, 1)
            #expect(feed.recovered == recovered)
        }
    }

    @Test("a slow client of which something is dropped before it was sent is given up with its page, and never before")
    func lost() {
        for (pruned, isLost) in [(vector(10, 7), false), (vector(11, 7), true), (vector(10, 8), true)] {
            var feed = Feed(catchingUpFrom: vector(10, 7))
            _ = feed.ask(1, at: Self.handedOut)
            var page = Feed.Page(reached: vector(12, 9), isLevel: true)
            page.horizon = pruned
            #expect((feed.read(page, 1) == .lost) == isLost)
            #expect(feed.cursor == (isLost ? vector(10, 7) : vector(12, 9)))
        }
    }

    @Test("the last page names the documents; too many of them is not everything")
    func documents() {
        for hasMore in [false, true] {
            var feed = resume(from: vector(1), entered: vector(9), position: vector(9))
            _ = feed.ask(1, at: Self.handedOut)
            _ = feed.read(Feed.Page(reached: vector(5), isLevel: false), 1)
            _ = feed.ask(2, at: Self.handedOut)
            feed.overflow()
            var page = Feed.Page(reached: vector(9), isLevel: true, documents: ["a"], hasMoreDocuments: hasMore)
            // Not the last after all: what was given up comes on another.
            _ = feed.read(page, 2)
            #expect(feed.changedDocuments.isEmpty && feed.recovered)
            _ = feed.ask(3, at: Self.handedOut)
            page.documents = ["a", "b"]
            _ = feed.read(page, 3)
            #expect(feed.changedDocuments == ["a", "b"] && feed.recovered == !hasMore)
        }
    }

    @Test("what was shown live is not named again where it went on from the cursor without a gap")
    func origin() {
        // Of a's log nothing lies between the cursor and what was shown live; of b's log something does.
        var feed = resume(from: vector(9, 2), entered: vector(9, 4), position: vector(12, 6))
        let question = feed.ask(1, at: Self.handedOut)
        #expect(question?.origin == vector(12, 2) && question?.cursor == vector(9, 2))
        var further = resume(from: vector(20), entered: vector(9), position: vector(12))
        #expect(further.ask(1, at: Self.handedOut)?.origin == vector(20))
    }

    @Test("who does not take what it is shown is fed again from where the live frames are")
    func fallingBehind() throws {
        var feed = resume(from: vector(3, 7), entered: vector(9, 4), position: vector(9, 4))
        _ = feed.ask(1, at: Self.handedOut)
        _ = feed.read(Feed.Page(reached: vector(9, 7), isLevel: true), 1)
        #expect(feed.live(dot(11), position: vector(10, 4)) == .show)
        feed.fallBehind(at: vector(10, 4))
        let asked = feed.ask(2, at: Self.handedOut)
        let question = try #require(asked)
        #expect(question.purpose == .catchUp && question.cursor == vector(10, 7) && question.wants(dot(11)))
    }

    @Test("a session stands where it has been fed to, and once it is level where the live frames are, too")
    func standing() {
        var feed = Feed(catchingUpFrom: vector(3))
        _ = feed.ask(1, at: Self.handedOut)
        #expect(feed.standing(at: vector(9)) == vector(3))
        _ = feed.read(Feed.Page(reached: vector(7), isLevel: true), 1)
        #expect(feed.standing(at: vector(6, 2)) == vector(7, 2))
    }

    @Test("what was in the store before it was opened is not fed to a slow client, and is to one that resumes")
    func begins() throws {
        var slow = Feed(catchingUpFrom: vector(0))
        var resuming = resume(from: vector(2), entered: vector(0), position: vector(0))
        _ = slow.ask(1, at: Self.handedOut)
        slow.begin(at: vector(7, 3), own: Self.elsewhere)
        resuming.begin(at: vector(7, 3), own: Self.elsewhere)
        // The page that was being read began too early.
        #expect(slow.read(Feed.Page(reached: vector(7, 3), isLevel: true), 1) == .ignore)
        let again = slow.ask(2, at: Self.handedOut)
        let missed = resuming.ask(3, at: Self.handedOut)
        #expect(try #require(again).cursor == vector(7, 3))
        #expect(try #require(missed).cursor == vector(2))
    }

    @Test("what was shown live since entering is not wanted, also by the resume that replaces one under way")
    func shownLive() throws {
        var first = resume(from: vector(3), entered: vector(9), position: vector(12))
        let asked = first.ask(1, at: Self.handedOut)
        let question = try #require(asked)
        #expect((4...13).filter { question.wants(dot($0)) } == [4, 5, 6, 7, 8, 9, 13])
        let second = Feed.Shown(since: vector(9), position: vector(15), feed: first)
        #expect(second == first.shown)
        // After it is over, what pages showed may be asked for again; what came live since may not.
        _ = first.read(Feed.Page(reached: vector(14), isLevel: true), 1)
        let third = Feed.Shown(since: first.cursor, position: vector(16), feed: first)
        #expect((12...17).filter { third.covers(dot($0)) } == [15, 16])
        // A slow client has been sent what its feed says, and no more.
        let slow = Feed(catchingUpFrom: vector(11))
        #expect(Feed.Shown(since: vector(9), position: vector(15), feed: slow).through == vector(11))
    }

    @Test("a page is asked for from where the live frames are, and the next from where they are by then")
    func positions() throws {
        var feed = resume(from: vector(1), entered: vector(9), position: vector(9))
        let first = feed.ask(1, at: vector(9, 4))
        #expect(try #require(first).position == vector(9, 4))
        _ = feed.read(Feed.Page(reached: vector(5), isLevel: false), 1)
        let second = feed.ask(2, at: vector(11, 4))
        #expect(try #require(second).position == vector(11, 4))
    }

    @Test("a cursor beyond the end of the node's own log hides nothing of that log, and the resume is not complete")
    func ownLog() throws {
        for (own, hides) in [(9, false), (10, true), (11, true)] as [(UInt64, Bool)] {
            var feed = resume(from: vector(10, 7), entered: vector(9, 4), position: vector(9, 4), own: dot(own))
            let asked = feed.ask(1, at: vector(9, 4))
            let question = try #require(asked)
            // Of other logs it may be ahead.
            #expect(question.cursor == (hides ? vector(10, 7) : vector(0, 7)))
            #expect(question.origin == question.cursor)
            #expect(question.recovered == hides)
            #expect(feed.live(dot(10), position: vector(9, 4)) == (hides ? .skip : .hold))
            _ = feed.read(Feed.Page(reached: question.cursor, isLevel: true), 1)
            #expect(feed.recovered == hides)
            #expect(feed.live(dot(8, Self.b), position: vector(9, 4)) == .show)
        }
    }

    @Test("a resume waits until the node knows what it has, and its cursor is judged by that")
    func waiting() throws {
        for (own, hides) in [(9, false), (10, true)] as [(UInt64, Bool)] {
            var feed = resume(from: vector(10, 2), entered: vector(0), position: vector(0), own: nil)
            #expect(feed.ask(1, at: vector(0)) == nil)
            feed.begin(at: vector(own, 7), own: dot(own))
            let asked = feed.ask(2, at: vector(own, 7))
            let question = try #require(asked)
            #expect(question.cursor == (hides ? vector(10, 2) : vector(0, 2)) && question.recovered == hides)
            #expect(question.position == vector(own, 7) && question.wants(dot(3, Self.b)))
        }
    }

    @Test("a page that leaves out what the store has beyond the node makes the resume incomplete")
    func cut() {
        for isCut in [false, true] {
            var feed = resume(from: vector(1), entered: vector(9), position: vector(9))
            _ = feed.ask(1, at: vector(9))
            var page = Feed.Page(reached: vector(9), isLevel: true)
            page.isCut = isCut
            _ = feed.read(page, 1)
            #expect(feed.recovered == !isCut && feed.isLevel)
        }
    }

    @Test("what a level session had when the store went back is not shown when it comes back, and what it had not is")
    func setBack() {
        // It has resumed to 7, and then the store went back from 9 to 5.
        var feed = resume(from: vector(3), entered: vector(3), position: vector(3))
        _ = feed.ask(1, at: vector(7))
        _ = feed.read(Feed.Page(reached: vector(7), isLevel: true), 1)
        feed.setBack(from: vector(9))
        #expect(feed.standing(at: vector(5)) == vector(9))
        for seq in UInt64(6)...9 { #expect(feed.live(dot(seq), position: vector(seq - 1)) == .skip) }
        #expect(feed.live(dot(10), position: nil) == .show)
        // Who comes after that is live from 5 on.
        #expect(Feed(catchingUpFrom: vector(5)).cursor == vector(5))
    }

    @Test("a session that is not level when the store goes back reads what the store has now")
    func setBackWhileReading() {
        var feed = Feed(catchingUpFrom: vector(5))
        _ = feed.ask(1, at: vector(8))
        #expect(feed.live(dot(9), position: vector(8)) == .hold)
        feed.setBack(from: vector(9))
        // The page may be of the one store or of the other.
        #expect(feed.read(Feed.Page(reached: vector(6), isLevel: true), 1) == .more(held: []))
        _ = feed.ask(2, at: vector(6))
        #expect(feed.read(Feed.Page(reached: vector(6), isLevel: true), 2) == .level(show: []))
        #expect(feed.live(dot(7), position: nil) == .show)
    }

    @Test("a session comes back live when nothing but what went with the store is filtered: its loop knows of that")
    func takenBack() {
        for (takenBack, isLive) in [(vector(9), true), (vector(8), false), (VersionVector(), false)] {
            var feed = Feed(catchingUpFrom: vector(9))
            _ = feed.ask(1, at: vector(9))
            _ = feed.read(Feed.Page(reached: vector(9), isLevel: true), 1)
            let decision = feed.live(dot(1, Self.b), position: vector(5), takenBack: takenBack)
            #expect(decision == (isLive ? .rejoin : .show))
        }
    }

    @Test("what was shown live before a resume, and went with the store, is not shown when it comes back")
    func shownBeforeSetBack() {
        // 4 to 9 were shown live, the store has 5 now; and the client asks for what came after 2.
        var feed = resume(from: vector(2), entered: vector(3), position: vector(9))
        _ = feed.ask(1, at: vector(5))
        _ = feed.read(Feed.Page(reached: vector(5), isLevel: true), 1)
        #expect(feed.live(dot(6), position: vector(5), takenBack: vector(9)) == .skip)
        #expect(feed.live(dot(9), position: vector(8), takenBack: vector(9)) == .skip)
        #expect(feed.live(dot(10), position: vector(9), takenBack: vector(9)) == .rejoin)
    }
}

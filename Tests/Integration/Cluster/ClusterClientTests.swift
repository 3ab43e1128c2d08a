// The library's client in a cluster whose nodes die under it.

import ConvergeClient
import ConvergeTransport
import Foundation
import Testing

extension ClusterTests {
    @Suite struct ClientTests {
        @Test(
            "a conversation goes on when its node ends, and every message is there once", arguments: ["kill", "stop"])
        func moves(how: String) async throws {
            try await onOwnThread {
                try withCluster { cluster in
                    let ports = cluster.nodes.map(\.port)
                    let ann = try ClientLog("ann", at: ports)
                    // Bob begins elsewhere.
                    let bob = try ClientLog("bob", at: [ports[1], ports[2]])
                    let (annRoom, bobRoom) = (try ann.client.join("dev"), try bob.client.join("dev"))
                    try ann.waitUntilLive()
                    try bob.waitUntilLive()
                    let tags = annRoom.set("tags")
                    var sent: [String] = []
                    func say(_ count: Int) throws {
                        for _ in 0..<count {
                            sent.append("ann \(sent.count)")
                            try annRoom.send(sent[sent.count - 1])
                        }
                    }
                    try say(50)
                    try bob.wait("the first fifty") { _ in bob.bodies().count == 50 }
                    // These are on their way, or wait, when the node ends.
                    try say(100)
                    let watch = Stopwatch()
                    if how == "kill" { try cluster.kill(0) } else { _ = try cluster.stop(0) }
                    try say(50)
                    try bobRoom.send("bob meanwhile")
                    try bobRoom.set("tags").add("meanwhile")
                    try ann.wait("that all is stored") { _ in ann.client.unsentCount == 0 }
                    let took = watch.text
                    // What the dead node had stored and told nobody comes when it is back; under its key it is one message.
                    try cluster.start(0)
                    try cluster.waitUntilWhole()
                    let history = try cluster.waitForEqualHistory("dev")
                    let own = history.filter { $0.type == "message" && $0.user == "ann" }
                    var ids: Set<String> = []
                    let once = own.filter { ids.insert($0.id).inserted }
                    try #require(
                        once.map(\.body) == sent, "history has \(once.count) of \(sent.count), or not in order")
                    for log in [ann, bob] {
                        try log.wait("everything") { _ in log.bodies().count >= 201 }
                        try #require(Set(log.messages().map(\.id)).count == log.messages().count, "shown twice")
                        try #require(Set(log.bodies()) == Set(sent + ["bob meanwhile"]), "something is missing")
                    }
                    try #require(ann.bodies().filter { $0.hasPrefix("ann") } == sent, "out of order")
                    let ends = ann.all.filter { if case .resumed = $0.event { true } else { false } }
                    try #require(!ends.isEmpty)
                    for case .resumed(let recovered, _, _) in ann.all.map(\.event) { try #require(recovered) }
                    try ann.wait("the set") { _ in tags.elements == ["meanwhile"] }
                    for log in [ann, bob] { try log.close() }
                    saw("\(how): 150 messages were stored on another node \(took) after their node's end")
                }
            }
        }
    }
}

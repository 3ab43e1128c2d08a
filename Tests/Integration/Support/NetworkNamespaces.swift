// A network of its own for each node, on one bridge, and the ways to cut it.
//
// Only inside a namespace that a script has made for the whole test run (scripts/chaos.sh): nothing is done to the
// machine's own network. The tests and their clients are at the bridge's own address and reach every node; a cut is
// between nodes.

import Foundation

final class NetworkNamespaces {
    /// Set by the script inside the namespace that it has made.
    static let variable = "CONVERGE_TEST_NETWORK"
    static var areThere: Bool { ProcessInfo.processInfo.environment[variable] == "own" }

    private let count: Int
    private let prefix: String

    init(_ count: Int) throws {
        guard Self.areThere else { throw TestFailure("no namespace of our own") }
        self.count = count
        prefix = "c\(UInt16.random(in: 0...UInt16.max))"
        try Self.run("ip link add \(bridge) type bridge")
        try Self.run("ip link set \(bridge) up")
        try Self.run("ip addr add 10.77.0.254/24 dev \(bridge)")
        for index in 0..<count {
            let name = name(index)
            try Self.run("ip netns add \(name)")
            try Self.run("ip link add \(name) type veth peer name eth0 netns \(name)")
            try Self.run("ip link set \(name) master \(bridge) up")
            try Self.run("ip -n \(name) link set lo up")
            try Self.run("ip -n \(name) addr add \(address(of: index))/24 dev eth0")
            try Self.run("ip -n \(name) link set eth0 up")
        }
    }

    deinit {
        for index in 0..<count { _ = try? Self.run("ip netns del \(name(index))") }
        _ = try? Self.run("ip link del \(bridge)")
    }

    private var bridge: String { prefix + "br" }
    private func name(_ index: Int) -> String { "\(prefix)n\(index)" }

    func address(of index: Int) -> String { "10.77.0.\(index + 1)" }

    /// What runs a command in a node's network.
    func command(of index: Int) -> [String] { ["ip", "netns", "exec", name(index)] }

    // MARK: Cuts

    /// Nothing from one node reaches the other any more, in silence: it has a wrong idea of where the other one is.
    func cut(from index: Int, to other: Int) throws {
        try Self.run(
            "ip -n \(name(index)) neigh replace \(address(of: other)) lladdr 02:00:00:00:00:99 dev eth0 nud permanent")
    }

    func cut(_ index: Int, _ other: Int) throws {
        try cut(from: index, to: other)
        try cut(from: other, to: index)
    }

    func heal(from index: Int, to other: Int) throws {
        // It may be whole already.
        _ = try? Self.run("ip -n \(name(index)) neigh del \(address(of: other)) dev eth0")
    }

    func healAll() throws {
        for index in 0..<count { for other in 0..<count where other != index { try heal(from: index, to: other) } }
    }

    // MARK: Commands

    @discardableResult
    static func run(_ command: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command.split(separator: " ").map(String.init)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw TestFailure("\(command): \(said)") }
        return said
    }
}

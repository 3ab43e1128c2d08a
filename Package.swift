// swift-tools-version: 6.1
import PackageDescription

// No package is named here but this one: what is used beside it is the toolchain's own modules and three system
// libraries (see Sources/System). ARCHITECTURE.md says which module may import which.

/// Lets tests plant faults in the cores (Sources/Gossip/PlantedFaults.swift). A release has no such switch, save the one
/// that scripts/simulate.sh makes for itself.
let simulates = Context.environment["CONVERGE_SIMULATION"] != nil
let simulation: [SwiftSetting] =
    simulates ? [.define("SIMULATION")] : [.define("SIMULATION", .when(configuration: .debug))]

/// A module of this package: the folder is `Sources/<folder>`, the module carries the project's name.
func module(_ folder: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: "Converge" + folder, dependencies: dependencies, path: "Sources/" + folder, swiftSettings: simulation)
}

func tests(_ folder: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(
        name: "Converge\(folder)Tests", dependencies: dependencies + ["ConvergeTestSupport"], path: "Tests/" + folder,
        exclude: exclude)
}

/// The simulation is one folder: a test target, and for scripts/simulate.sh a program of its own.
let simulationParts: [Target.Dependency] = [
    "ConvergeNode", "ConvergeClient", "ConvergeStorage", "ConvergeGossip", "ConvergeTransport", "ConvergeWire",
    "ConvergeCRDT", "ConvergeTestSupport",
]
let simulationTarget: Target =
    simulates
    ? .executableTarget(
        name: "simulate", dependencies: simulationParts, path: "Tests/Simulation", exclude: ["Suites"],
        swiftSettings: simulation)
    : .testTarget(
        name: "ConvergeSimulationTests", dependencies: simulationParts, path: "Tests/Simulation", exclude: ["Command"])

let package = Package(
    name: "converge",
    products: [
        .library(name: "Converge", targets: ["ConvergeNode", "ConvergeStorage"]),
        .library(name: "ConvergeCRDT", targets: ["ConvergeCRDT"]),
        .library(name: "ConvergeClient", targets: ["ConvergeClient"]),
        .executable(name: "converge", targets: ["converge"]),
    ],
    targets: [
        module("CRDT"),
        module("Wire", ["ConvergeCRDT"]),
        module("Gossip", ["ConvergeCRDT", "ConvergeWire"]),
        module("Storage", ["ConvergeCRDT", "ConvergeWire", "CSQLite", "CPostgres", "COpenSSL"]),
        module("Transport", ["ConvergeWire", "CLinux", "COpenSSL"]),
        module(
            "Node",
            ["ConvergeCRDT", "ConvergeWire", "ConvergeGossip", "ConvergeStorage", "ConvergeTransport", "CLinux"]),
        module("Client", ["ConvergeCRDT", "ConvergeWire", "ConvergeTransport", "CSQLite"]),
        module("Terminal", ["ConvergeCRDT", "ConvergeWire", "ConvergeTransport", "ConvergeClient", "CLinux"]),
        .executableTarget(
            name: "converge",
            dependencies: [
                "ConvergeNode", "ConvergeStorage", "ConvergeClient", "ConvergeTerminal", "ConvergeTransport",
                "ConvergeWire",
            ],
            path: "Sources/converge"),

        .target(name: "CLinux", path: "Sources/System/CLinux"),
        .systemLibrary(
            name: "CSQLite", path: "Sources/System/CSQLite", pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "CPostgres", path: "Sources/System/CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "COpenSSL", path: "Sources/System/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),

        .target(name: "ConvergeTestSupport", path: "Tests/Support"),
        tests("CRDT", ["ConvergeCRDT"]),
        tests("Wire", ["ConvergeWire", "ConvergeCRDT"]),
        tests("Gossip", ["ConvergeGossip", "ConvergeWire", "ConvergeCRDT"]),
        tests("Storage", ["ConvergeStorage", "ConvergeWire", "ConvergeCRDT", "CSQLite", "CPostgres"]),
        tests("Transport", ["ConvergeTransport", "ConvergeWire", "COpenSSL"]),
        tests(
            "Node",
            ["ConvergeNode", "ConvergeStorage", "ConvergeTransport", "ConvergeWire", "ConvergeCRDT", "CPostgres"]),
        tests("Client", ["ConvergeClient", "ConvergeTransport", "ConvergeWire", "ConvergeCRDT", "CSQLite"]),
        tests(
            "Terminal", ["ConvergeTerminal", "ConvergeClient", "ConvergeTransport", "ConvergeWire"],
            exclude: ["Golden"]),
        tests(
            "Integration",
            [
                "ConvergeNode", "ConvergeStorage", "ConvergeClient", "ConvergeTerminal", "ConvergeTransport",
                "ConvergeWire", "CSQLite", "CPostgres", "COpenSSL",
            ]),
        tests("Command", ["converge"]),
        tests("Papers", ["converge", "ConvergeTerminal", "ConvergeNode", "ConvergeWire"]),
        simulationTarget,
    ],
    swiftLanguageModes: [.v6]
)

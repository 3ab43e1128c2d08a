// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "crdt-bench",
    dependencies: [.package(name: "converge", path: "../../..")],
    targets: [
        .executableTarget(
            name: "crdt-bench", dependencies: [.product(name: "ConvergeCRDT", package: "converge"), "CHeap"]),
        .target(name: "CHeap"),
    ],
    swiftLanguageModes: [.v6]
)

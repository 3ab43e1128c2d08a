// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "crdt-bench",
    dependencies: [.package(name: "converge", path: "../../..")],
    targets: [
        .executableTarget(name: "crdt-bench", dependencies: [.product(name: "ConvergeCRDT", package: "converge")])
    ],
    swiftLanguageModes: [.v6]
)

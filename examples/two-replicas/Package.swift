// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "two-replicas",
    dependencies: [.package(name: "converge", path: "../..")],
    targets: [
        .executableTarget(
            name: "two-replicas", dependencies: [.product(name: "ConvergeCRDT", package: "converge")])
    ],
    swiftLanguageModes: [.v6]
)

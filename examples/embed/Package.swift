// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "embed",
    dependencies: [.package(name: "converge", path: "../..")],
    targets: [.executableTarget(name: "embed", dependencies: [.product(name: "Converge", package: "converge")])],
    swiftLanguageModes: [.v6]
)

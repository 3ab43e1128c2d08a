// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "echo-bot",
    dependencies: [.package(name: "converge", path: "../..")],
    targets: [
        .executableTarget(name: "echo-bot", dependencies: [.product(name: "ConvergeClient", package: "converge")])
    ],
    swiftLanguageModes: [.v6]
)

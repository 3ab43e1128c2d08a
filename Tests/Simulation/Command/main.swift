import Foundation

guard let simulate = Simulate(CommandLine.arguments) else {
    print(Simulate.usage)
    exit(2)
}
exit(simulate.run())

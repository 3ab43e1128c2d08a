import ConvergeNode
import Glibc

// The command: finds out what is asked for and exits with what came of it. 0 it worked, 1 it didn't, 2 it was not asked
// for rightly, 141 nobody read what it said.

StandardDescriptors.occupy()
let words = Array(CommandLine.arguments.dropFirst())
exit(Console.end(with: Subcommand.run(words)))

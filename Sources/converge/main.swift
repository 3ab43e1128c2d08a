import ConvergeNode
import Glibc

// The command: finds out what is asked for and exits with what came of it. 0 it worked, 1 it didn't, 2 it was not asked
// for rightly.

let words = Array(CommandLine.arguments.dropFirst())
exit(Subcommand.run(words))

import ConvergeNode

/// The help texts.
enum Usage {
    static let overview = """
        converge: chat, presence and shared documents over WebSocket

          converge serve [FLAGS]                       run a node
          converge chat [--server URL] [--room ROOM]   talk, on a full screen or through a pipe
          converge token USER [NAME] [--expires 24h]   make a token for a user
          converge secret                              make a secret
          converge status [URL…] [--watch] [--json]    say how nodes are, and whether they are one whole cluster
          converge health [--ready]                    say whether this machine's node answers
          converge backup FILE                         copy the node's SQLite file, also while it runs
          converge redate [--dry-run]                  mend the dates in a database that a wrong clock has written
          converge version                             say which build this is
          converge help [COMMAND]                      say more about one of these

        Where what a command says can't be written to the last byte, it ends with 1, or 141 where nobody reads any more.


        """

    static func text(of command: Subcommand) -> String {
        switch command {
        case .serve: serve
        case .chat: chat
        case .token: token
        case .secret: secret
        case .status: status
        case .health: health
        case .backup: backup
        case .redate: redate
        case .version: "converge version\n\nSays which build this is.\n"
        case .help: help
        }
    }

    private static var serve: String {
        """
        converge serve [--check] [FLAGS]

        Runs a node until SIGINT or SIGTERM, which stop it gracefully; a second one ends it at once. SIGHUP has it read the
        certificate anew, SIGQUIT log how it is, SIGUSR1 log more and SIGUSR2 less. Settings come from environment variables;
        a flag overrides its variable. Secrets have no flags, since flags show in ps.

          --check                  check the settings, print them with secrets masked, and end

        \(Settings.help)Exit status: 0 stopped, 1 could not run (such as a port in use), 2 a bad setting.

        """
    }

    private static let chat = """
        converge chat [--server URL[,URL…]] [--room ROOM] [FLAGS]

        On a terminal: a full screen with rooms, messages, members and what is being typed; F1 shows keys and commands. It
        goes on with another server when one is gone, and keeps what is unsent.
        Without a terminal each line of input is a message or a command (/help lists them), and what others say is printed. It,
        too, goes on with another server, and prints what was missed. At the end of its input it waits until all of that is
        stored or answered, and leaves.

          --server URL     ws://host:port, or wss://host:port for TLS; several nodes with commas [the node that the
                           environment would start on this machine, by CONVERGE_ADDR and PORT: ws://127.0.0.1:8080]
          --room ROOM      [lobby]
          --token TOKEN    better set CONVERGE_TOKEN, which doesn't show in ps; converge token makes one
          --ca FILE        certificates (PEM) that may vouch for a server of wss://, beside the system's
          --config FILE    servers, rooms, a command for the token, colours [~/.config/converge, where it is there]
          --lines          lines in, lines out on a terminal, too
          --json           print a JSON object for each event
          --ascii          draw with ASCII alone
          --no-color       no colours on a terminal; NO_COLOR does the same

        Exit status: 0 left; 1 no server could be had at the beginning (10 s for each), a server refused the token or the room,
        something from a pipe was refused, or was not stored within 30 s without progress after the end of input; 2 misused;
        130 interrupted (on the full screen: 128 and the signal's number).

        """

    private static let token = """
        converge token USER [NAME] [--expires 24h] [--jwt-secret-file FILE]

        Prints a token for USER, shown to others as NAME, signed with CONVERGE_JWT_SECRET or with the secret in a file.
        CONVERGE_JWT_ISSUER and CONVERGE_JWT_AUDIENCE are put into it where they are set.

          --expires DURATION         how long it is good for; 0: for ever [24h]
          --jwt-secret-file FILE     a file with the secret, as CONVERGE_JWT_SECRET_FILE

        """

    private static let secret = """
        converge secret

        Prints a new random secret (43 letters, digits, - and _) and nothing else. It will do for CONVERGE_JWT_SECRET, and
        for what the nodes of a cluster know each other by.

        """

    private static let status = """
        converge status [URL…] [--ca FILE] [--json] [--watch [--interval 2s]]

        Asks each node that is named, and no other, how it is: GET /cluster. Prints the nodes, how far each log is on each
        of them, who sees whom, and whether they are one whole cluster. Without a URL it asks the node that the
        environment would start on this machine (CONVERGE_ADDR, PORT).

          URL                 http://host:port, or https://host:port
          --ca FILE           certificates that may vouch for a node over https, beside the system's
          --json              print one JSON object instead
          --watch             ask again and again, until it is interrupted
          --interval TIME     how often [2s]

        The cluster is whole when every node that was asked answers and is ready; each sees all members, the other nodes
        that were asked among them, alive and linked; none lacks an entry that another has known of for over 8 s; none
        refuses to write because of its clock, has entries dated far ahead of it or holds a log aside for that; and those that have the same entries have the same logs and documents.
        PEER LACKS and NODE LACKS count entries, with the age of the oldest; both are known from what the peer last told,
        so while something is written a few seconds are normal.

        Exit status: 0 whole, 1 not whole, 2 misused.

        """

    private static let health = """
        converge health [--ready]

        Asks the node that the environment would start on this machine (CONVERGE_ADDR, PORT, CONVERGE_TLS_CERT) whether it
        answers: GET /health. For the health checks of containers and the like. Over TLS any certificate will do, since
        nothing is told to the node but that question.

          --ready     ask whether it takes clients and stores what they send: GET /ready

        Exit status: 0 it answers 200; 1 anything else, and what, within 3 s; 2 misused.

        """

    private static let backup = """
        converge backup FILE [--db PATH]

        Copies the SQLite file of a node, which may be running, into a new file, checks it, and leaves out the replica's
        identity: a node that is started with the copy goes on as a new replica with everything that is in it. A file that
        is there is never overwritten. PostgreSQL has tools of its own for this, such as pg_dump.

          --db PATH     the node's file [CONVERGE_DB_PATH, or converge.db]

        Exit status: 0 copied, 1 not copied, 2 misused.

        """

    private static let help = """
        converge help [COMMAND]
        converge help settings
        converge help --man [COMMAND]
        converge help --completions bash|zsh|fish

        Says more about a command, or about all of them.

          settings               all settings as a table, in Markdown
          --man                  the same as a manual page, for man
          --completions SHELL    what bash, zsh or fish completes after converge

        """

    private static let redate = """
        converge redate [--db PATH | --dsn STRING] [--dry-run]

        Mends a database into which a node with a wrong clock has written, or has taken such entries from others: whatever
        is dated over 24 hours ahead of this machine's clock gets dates right behind the latest that is not, in the same
        order. Nothing is lost. Set the clock first, and stop every node that writes the database: it is refused while one
        does. Which database follows from CONVERGE_DB_ADAPTER, CONVERGE_DB_PATH and CONVERGE_DB_DSN, as for serve.

          --db PATH        the node's file [CONVERGE_DB_PATH, or converge.db]
          --dsn STRING     the PostgreSQL database; better set CONVERGE_DB_DSN, which doesn't show in ps
          --dry-run        say what would be dated anew, and change nothing

        Exit status: 0 done, or nothing to do; 1 not done, 2 misused.

        """
}

"""Three nodes on core 0, the load on core 1: how much longer a message takes to another node, what it costs there, how fast
one that was away is level, what a quiet cluster does. Prints one JSON object."""

import contextlib, json, os, shutil, sqlite3, subprocess, sys, tempfile, threading, time

import works
from asker import Asker
from node import MESSAGE, SECRET, Node, free_ports, start_anew

CLUSTER_SECRET = "a secret for measuring that nobody else has"


class Member(Node):
    """A node of a cluster, which can be stopped and started again."""

    def __init__(self, binary, folder, name, port, gossip, peers):
        self.binary, self.folder, self.name, self.port, self.gossip, self.peers = binary, folder, name, port, gossip, peers
        self.database = os.path.join(folder, name + ".db")
        self.log = os.path.join(folder, name + ".log")
        self.process = None
        self.loops = 1

    def start(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CONVERGE_")}
        environment.update(
            PORT=str(self.port), CONVERGE_HOST="127.0.0.1", CONVERGE_DB_PATH=self.database, CONVERGE_NODE_NAME=self.name,
            CONVERGE_JWT_SECRET=SECRET, CONVERGE_GOSSIP_ADDR=f"127.0.0.1:{self.gossip}", CONVERGE_LOOPS=str(self.loops),
            CONVERGE_PEERS=",".join(f"127.0.0.1:{p}" for p in self.peers), CONVERGE_CLUSTER_SECRET=CLUSTER_SECRET)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["taskset", "-c", "0", self.binary, "serve"], env=environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid
        self.wait_until(self.is_ready, 20)

    def links(self):
        return int(self.metric("peer_links"))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stored(self):
        """How many chat messages are in history, asked of the file while the node runs."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM entry WHERE kind = ? AND shown = 1", (MESSAGE,)).fetchone()[0]


@contextlib.contextmanager
def cluster(binary, count=3, start=True):
    folder = tempfile.mkdtemp(prefix="converge-bench-")
    members = []

    def stop():
        for member in members:
            if member.process and member.process.poll() is None:
                member.stop()

    def attempt():
        # All at once, so that no two are the same: each node is told every node's.
        ports = free_ports(2 * count)
        members[:] = [Member(binary, folder, f"n{i + 1}", ports[count + i], ports[i], ports[:count]) for i in range(count)]
        try:
            for member in members if start else []:
                member.start()
        except BaseException:
            stop()
            raise

    try:
        start_anew(attempt)
        if start:
            for member in members:
                member.wait_until(lambda: member.links() == count - 1, 20)
        yield members
    finally:
        stop()
        shutil.rmtree(folder, ignore_errors=True)


def load(tools, members, options, core="1"):
    command = ["taskset", "-c", core, os.path.join(tools, "wsload"), "--adapter", "converge", "--servers",
               ",".join(f"127.0.0.1:{m.port}" for m in members), "--secret", SECRET, *options.split()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if not ran.stdout.strip():
        raise RuntimeError(ran.stderr.strip()[-300:] or "the load generator said nothing")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def paced(tools, binary, rate):
    """300 members over three nodes, one publisher on the first."""
    with cluster(binary) as members:
        found = load(tools, members, f"--mode fanout --subs 300 --pubs 1 --rate {rate} --secs 8 --warmup 2 --body 128")
        by = [server["latency_us"] for server in found["by_server"]]
        remote = sorted(server["p50"] for server in by[1:])
        return {"rate": rate, "sent": found["sent"], "lost": found["lost"], "closed": found["closed_by_server"],
                "local_p50_us": by[0]["p50"], "local_p99_us": by[0]["p99"],
                "remote_p50_us": sum(remote) / len(remote), "remote_p99_us": max(s["p99"] for s in by[1:]),
                "wanted_p50_us": 1.5 * by[0]["p50"] + 1_000}


def saturated(tools, binary, runs=3):
    """200 members and one publisher with 8 messages in flight: CPU a delivery, of three nodes and of one, in turn."""
    options = "--mode fanout --subs 200 --pubs 1 --window 8 --secs 5 --warmup 1 --body 128"
    costs = {1: [], 3: []}
    lost = 0
    for _ in range(runs):
        for count in costs:
            with cluster(binary, count) as members:
                before = sum(m.processor_time() for m in members)
                found = load(tools, members, options)
                spent = sum(m.processor_time() for m in members) - before
                lost += found["lost"]
                costs[count].append(spent * 1e6 / found["delivered"])
    one, three = (sorted(c)[len(c) // 2] for c in (costs[1], costs[3]))
    return {"one_node_cpu_us": one, "three_nodes_cpu_us": three, "ratio": three / one, "lost": lost, "all": costs}


def catch_up(tools, binary, count, empties):
    """One node is away while messages are written, and comes back while 500 a second go on live."""
    with cluster(binary) as members:
        away = members[2]
        away.kill()
        found = load(tools, members[:2], f"--mode rooms --rooms 250 --members 4 --rate 10000 --secs {count // 10_000} "
                     "--warmup 1 --body 128 --drain 5")
        behind = found["sent"]
        if empties:
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(away.database + suffix)
        idle = [m.resident() for m in members[:2]]
        live = {}
        traffic = threading.Thread(target=lambda: live.update(load(
            tools, members[:2], "--mode rooms --rooms 50 --members 4 --rate 500 --secs 20 --warmup 0 --body 128")))
        traffic.start()
        time.sleep(1)
        begin = time.monotonic()
        away.start()
        start_resident = away.resident()
        peak, peak_others = start_resident, list(idle)
        level = None
        while time.monotonic() - begin < 60:
            if away.stored() >= behind:
                level = time.monotonic() - begin
                break
            peak = max(peak, away.resident())
            peak_others = [max(p, m.resident()) for p, m in zip(peak_others, members[:2])]
            time.sleep(0.1)
        traffic.join()
        return {"behind": behind, "seconds": level, "live_sent": live.get("sent"), "live_lost": live.get("lost"),
                "live_p99_us": live.get("latency_us", {}).get("p99"), "grown_mb": (peak - start_resident) / 1e6,
                "others_grown_mb": max(p - i for p, i in zip(peak_others, idle)) / 1e6}


def users(asker):
    """How many there are in all rooms but the asker's own, as its node says."""
    rooms = [room for room in asker.ask(type="rooms")["rooms"] if room != "asking"]
    return sum(asker.ask(type="users", room=room, limit=1)["count"] for room in rooms)


def presence(tools, binary, sessions, joins=200):
    """Many sessions on one node: what one more costs the others, and how soon a node that is new knows them all."""
    with cluster(binary, start=False) as members:
        crowded, other, fresh = members
        # A table of descriptors for each loop.
        crowded.loops = 2
        for member in (crowded, other):
            member.start()
        crowded.wait_until(lambda: crowded.links() == 1, 20)
        crowd = threading.Thread(target=load, args=(
            tools, [crowded], f"--mode idle --conns {sessions} --rooms 100 --hold 40 --connect-timeout 60"))
        crowd.start()
        here, there = Asker(crowded.port, SECRET), Asker(other.port, SECRET)
        crowded.wait_until(lambda: users(here) >= sessions, 60, pause=0.5)
        other.wait_until(lambda: users(there) >= sessions, 20, pause=0.5)
        time.sleep(2)

        def sent():
            return crowded.metric("peer_bytes_out_total")

        # What is said in any case is taken off.
        before = sent()
        time.sleep(3)
        quiet = (sent() - before) / 3
        more = threading.Thread(target=load, args=(tools, [crowded], f"--mode idle --conns {joins} --rooms 100 --hold 6"))
        before, begin = sent(), time.monotonic()
        more.start()
        other.wait_until(lambda: users(there) >= sessions + joins, 20, pause=0.2)
        join = (sent() - before - quiet * (time.monotonic() - begin)) / joins
        more.join()

        begin = time.monotonic()
        fresh.start()
        ready = time.monotonic() - begin
        asker = Asker(fresh.port, SECRET)
        fresh.wait_until(lambda: users(asker) >= sessions, 60, pause=0.02)
        listed = time.monotonic() - begin
        crowd.join()
        return {"sessions": sessions, "bytes_a_join_and_peer": join, "ready_s": ready, "listed_s": listed}


def quiet(tools, binary):
    with cluster(binary) as members:
        time.sleep(3)
        cpu = [m.processor_time() for m in members]
        sent = [m.metric("peer_bytes_out_total") for m in members]
        time.sleep(20)
        return {"core_percent": max((m.processor_time() - c) * 100 / 20 for m, c in zip(members, cpu)),
                "bytes_per_second_and_link": max(
                    (m.metric("peer_bytes_out_total") - s) / 20 / 2 for m, s in zip(members, sent))}


def main():
    measured = {
        "cluster-20": lambda tools, binary: paced(tools, binary, 20),
        "cluster-100": lambda tools, binary: paced(tools, binary, 100),
        "cluster-saturated": lambda tools, binary: saturated(tools, binary),
        "catch-up": lambda tools, binary: catch_up(tools, binary, 200_000, empties=False),
        "catch-up-empty": lambda tools, binary: catch_up(tools, binary, 200_000, empties=True),
        "presence": lambda tools, binary: presence(tools, binary, 19_000),
        "cluster-quiet": lambda tools, binary: quiet(tools, binary),
    }
    return works.run(__doc__, measured)


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.exit(main())

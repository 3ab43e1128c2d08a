"""A node under measurement: started on core 0 with a fresh SQLite file, watched, stopped by SIGTERM."""

import contextlib, json, os, random, shutil, signal, socket, sqlite3, subprocess, tempfile, time, urllib.request

SECRET = "bench-secret"
MESSAGE = 1  # the kind of entry that is a chat message


class PortTaken(RuntimeError):
    """Something else had the port when the node wanted it."""


def free_ports(count):
    """So many different ports that nothing has right now. Below those that the kernel gives to outgoing connections, of which
    the load makes thousands."""
    found = []
    with contextlib.ExitStack() as held:
        for port in random.sample(range(20000, 32000), 1000):
            s = held.enter_context(socket.socket())
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError(f"no {count} free ports were found")


def free_port():
    return free_ports(1)[0]


class Node:
    def __init__(self, binary, folder):
        self.port = free_port()
        self.database = os.path.join(folder, "bench.db")
        self.log = os.path.join(folder, "node.log")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CONVERGE_")}
        environment.update(PORT=str(self.port), CONVERGE_HOST="127.0.0.1", CONVERGE_DB_PATH=self.database,
                           CONVERGE_JWT_SECRET=SECRET)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["taskset", "-c", "0", binary, "serve"], env=environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid
        try:
            self.wait_until(self.is_ready, 20)
        except BaseException:
            self.process.kill()
            raise

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def is_ready(self):
        if self.process.poll() is not None:
            said = open(self.log).read()[-500:]
            kind = PortTaken if "is in use by another program" in said else RuntimeError
            raise kind(f"the node ended with {self.process.returncode}: {said}")
        try:
            self.get("/ready")
            return True
        except OSError:
            return False

    def metric(self, name):
        for line in self.get("/metrics").splitlines():
            if line.startswith(f"converge_{name} "):
                return float(line.split()[1])
        raise KeyError(name)

    def resident(self):
        """Bytes of memory, as the kernel counts them."""
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def processor_time(self):
        """Seconds of processor that the node has used."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_until(self, condition, seconds, pause=0.05):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s: {condition}")
            time.sleep(pause)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def messages(self):
        """How many chat messages are in history; asked of the file, once the node has stopped."""
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            return database.execute("SELECT count(*) FROM entry WHERE kind = ? AND shown = 1", (MESSAGE,)).fetchone()[0]


def start_anew(start, tries=5):
    """What `start` gives, which has other ports each time: between looking for a free one and taking it somebody may be
    faster."""
    for rest in reversed(range(tries)):
        try:
            return start()
        except PortTaken:
            if rest == 0:
                raise


@contextlib.contextmanager
def running(binary):
    """A node with a folder of its own; both are gone afterwards."""
    folder = tempfile.mkdtemp(prefix="converge-bench-")
    try:
        node = start_anew(lambda: Node(binary, folder))
        try:
            yield node
        finally:
            if node.process.poll() is None:
                node.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load(tools, node, options):
    """Runs the load generator on core 1 against a node and gives what it found."""
    command = ["taskset", "-c", "1", os.path.join(tools, "wsload"), "--adapter", "converge",
               "--servers", f"127.0.0.1:{node.port}", "--secret", SECRET, "--pid", str(node.pid), "--cpu", "0",
               *options.split()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if not ran.stdout.strip():
        raise RuntimeError(ran.stderr.strip()[-300:] or "the load generator said nothing")
    return json.loads(ran.stdout.strip().splitlines()[-1])

"""The works that the comparison with the floor does not have: what is in history afterwards, many connections, a mass
disconnect. Prints one JSON object."""

import json, os, resource, sys

import works
from node import load, running
from vanish import vanish

ROOMS = "--mode rooms --rooms 250 --members 4 --secs 5 --warmup 1 --drain 5 --rate"
RESERVE = 200  # descriptors that are not connections


def history(tools, binary, rate):
    """Sends at a rate, stops the node, and counts what its file holds."""
    with running(binary) as node:
        found = load(tools, node, f"{ROOMS} {rate}")
        status = node.stop()
        return {
            "rate": rate, "sent": found["sent"], "stored": node.messages(), "lost": found["lost"],
            "closed": found["closed_by_server"], "skipped": found["gen_skipped"], "exit": status,
            "p50_us": found["latency_us"]["p50"], "p99_us": found["latency_us"]["p99"],
            "cpu_us_per_delivery": found["cpu_us_per_delivery"],
        }


def idle(tools, binary, connections):
    with running(binary) as node:
        # One wave of joins a room is stored for each connection: they may take their time.
        found = load(tools, node, f"--mode idle --conns {connections} --hold 2 --connect-timeout 120")
        return {
            "connections": found["connected"], "failed": found["connect_failed"], "closed": found["closed_by_server"],
            "bytes_per_connection": found["rss_bytes_per_conn"],
        }


def mass_disconnect(tools, binary, clients):
    with running(binary) as node:
        # The second time shows whether what the first left behind is used again.
        return [vanish(node, clients) for _ in range(2)]


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = min(20_000, hard - RESERVE)
    measured = {
        "history-5000": lambda tools, binary: history(tools, binary, 5_000),
        "history-20000": lambda tools, binary: history(tools, binary, 20_000),
        "idle-5000": lambda tools, binary: idle(tools, binary, 5_000),
        "idle-most": lambda tools, binary: idle(tools, binary, most),
        "vanish": lambda tools, binary: mass_disconnect(tools, binary, min(10_000, most)),
    }
    return works.run(__doc__, measured)


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.exit(main())

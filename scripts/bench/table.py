"""Writes what was measured into docs/benchmarks.md, between two markers; the words around them are left alone."""

import json, os, sys

BEGIN, END = "<!-- measured: written by scripts/bench.sh -->", "<!-- end of measured -->"
BOUNDS = {"fan200": "1.5", "fan1000": "1.5", "deep200": "4.0", "paced200": "1.4", "rooms": "2.5", "idle": "3 KiB a connection", "storm": "3.0"}
ABSENT = f"""# Benchmarks

{BEGIN}
{END}
"""


def number(value):
    if value is None or value != value:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def megabytes(value):
    return f"{value / 1e6:.1f} MB"


def floor_table(results):
    yield "| work | floor | Converge | unit | ratio | wanted at most | p50 / p99 | the floor's | per second | lost or closed |"
    yield "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, row in results.items():
        times = {who: f"{number(row[who + '_p50_us'])} / {number(row[who + '_p99_us'])} µs" for who in ("server", "floor")}
        if name == "idle":
            times = dict.fromkeys(times, "–")
        yield (f"| {name} | {number(row['floor'])} | {number(row['server'])} | {row['unit'].replace('CPU-us', 'CPU-µs')} "
               f"| {row['ratio']:.2f} | {BOUNDS.get(name, '–')} | {times['server']} | {times['floor']} "
               f"| {number(row['server_per_s'])} | {row['server_lost']} |")


def sentences(extra):
    for name, found in extra.items():
        if isinstance(found, dict) and "error" in found:
            yield f"- {name}: failed: {found['error']}"
        elif name.startswith("history"):
            yield (f"- {found['rate']:,} messages a second over 250 rooms of four: {found['sent']:,} sent, "
                   f"{found['stored']:,} in history afterwards, {found['lost']} deliveries lost, {found['closed']} "
                   f"connections closed; p50 {number(found['p50_us'])} µs, p99 {number(found['p99_us'])} µs, "
                   f"{number(found['cpu_us_per_delivery'])} CPU-µs a delivery.")
        elif name.startswith("idle"):
            yield (f"- {found['connections']:,} idle connections: {number(found['bytes_per_connection'])} bytes of memory "
                   f"each; {found['failed']} failed, {found['closed']} closed.")
        else:
            for count, once in enumerate(found, 1):
                yield (f"- {once['clients']:,} clients vanish at once{' (the same node, again)' if count > 1 else ''}: "
                       f"/health answers within {once['health_max_ms']:.0f} ms ({once['health_before_ms']:.0f} ms before, "
                       f"asked {once['health_asked']} times), all gone after {number(once['gone_after_s'])} s "
                       f"({number(once['cpu_s'])} s of processor); memory "
                       f"{megabytes(once['rss_before'])} before, {megabytes(once['rss_connected'])} connected, "
                       f"{megabytes(once['rss_after'])} after.")


def main(document, heading, compared, extra):
    text = open(document).read() if os.path.exists(document) else ABSENT
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        sys.exit(f"{document} must have the lines {BEGIN} and {END} once each")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    lines = [heading, ""]
    for source, shape in ((compared, floor_table), (extra, sentences)):
        if os.path.exists(source):
            lines += [*shape(json.load(open(source))), ""]
    with open(document, "w") as out:
        out.write(before + BEGIN + "\n\n" + "\n".join(lines) + "\n" + END + after)


if __name__ == "__main__":
    main(*sys.argv[1:])

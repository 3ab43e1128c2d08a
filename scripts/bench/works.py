"""The command line of the scripts that measure several works, one after the other."""

import argparse, json


def run(description, works):
    """`works`: by name, functions of the folder of the tools and the node's program. Prints each result, writes all to a
    file, and returns whether one could not be had."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", default="", help="comma-separated, of: " + ", ".join(works))
    parser.add_argument("--json", required=True)
    a = parser.parse_args()
    results = {}
    for name in [n for n in a.only.split(",") if n] or works:
        if name not in works:
            parser.error(f"there is no work {name}; there are {', '.join(works)}")
        try:
            results[name] = works[name](a.tools, a.binary)
        except (RuntimeError, OSError, TimeoutError) as problem:
            results[name] = {"error": str(problem)}
        print(f"{name:18}", json.dumps(results[name]), flush=True)
    with open(a.json, "w") as out:
        json.dump(results, out, indent=1)
    return any("error" in result for result in results.values() if isinstance(result, dict))

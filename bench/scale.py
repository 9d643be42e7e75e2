"""What a page, a URL and a seed cost as the work grows: each question is answered by a file of its own, ``scale_*.py``.

Run it with ``make bench-scale``; the results go to docs/benchmarks.md, and how to read them is told there.
"""

import argparse
import sys
from collections.abc import Callable, Mapping

import machine
import scale_hosts
import scale_ledger
import scale_memory
import scale_processes
import scale_seeds
from tables import DOCUMENT, place

from crawl_dev.servers import PrivateServers

PARTS: Mapping[str, Callable[[bool], str]] = {
    "ledger": scale_ledger.measure,
    "processes": scale_processes.measure,
    "hosts": scale_hosts.measure,
    "memory": scale_memory.measure,
    "seeds": scale_seeds.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the work: whether it runs, not how fast")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; repeatable")
    parser.add_argument("--write", action="store_true", help="put the results into docs/benchmarks.md")
    options = parser.parse_args()
    load = machine.load()
    with PrivateServers(1) as servers:
        notes = "\n\n".join(machine.described(servers, load))
    for name in options.only or PARTS:
        print(f"\n== {name}", flush=True)
        text = f"{notes}\n\n{PARTS[name](options.quick)}"
        print(text, flush=True)
        if options.write:
            place(f"scale-{name}", text)
    if options.write:
        print(f"\nwritten to {DOCUMENT}")


if __name__ == "__main__":
    sys.exit(main())

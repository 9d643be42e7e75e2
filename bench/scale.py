"""What a page, a URL and a seed cost as the work grows: each question is answered by a file of its own, ``scale_*.py``.

Run it with ``make bench-scale``; the results go to docs/benchmarks.md, and how to read them is told there.
"""

import argparse
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import machine
import scale_hosts
import scale_ledger
import scale_memory
import scale_processes
import scale_seeds
from tables import place

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
    parser.add_argument("--quick", action="store_true", help="a little work: whether it runs, not how fast")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part, repeatable; nothing is written then")
    options = parser.parse_args()
    load = machine.load()
    with PrivateServers(1) as servers:
        described = "\n\n".join(machine.described(servers, load))
    told("machine", described, writes=not (options.only or options.quick))
    # A process for each: the system counts the memory of whoever starts a program as that program's peak.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as apart:
        for name in options.only or PARTS:
            part = apart.submit(PARTS[name], options.quick).result()
            told(name, part, writes=not (options.only or options.quick))


def told(name: str, text: str, *, writes: bool) -> None:
    """Print a part, and put it into the document at once: what follows may fail."""
    print(f"\n== {name}\n{text}", flush=True)
    if writes:
        place(f"scale-{name}", text)


if __name__ == "__main__":
    main()

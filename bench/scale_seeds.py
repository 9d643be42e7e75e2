"""How fast ``crawl-seed`` brings URLs from a file into a crawl, on the durable path; see seed.py."""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import machine
from seed import BIN, seed, topology_without_a_page_limit, write_urls
from tables import table

from crawl_dev.servers import PrivateServers

URLS, HOSTS = 1_000_000, 1000
#: URLs per second that are wanted.
AIM_RATE = 20_000


def measure(quick: bool) -> str:
    """The results as Markdown."""
    with TemporaryDirectory(prefix="crawl-bench-") as name, PrivateServers(1) as servers:
        folder = Path(name)
        topology = topology_without_a_page_limit(folder)
        environment = os.environ | servers.environment() | {"CRAWL_TOPOLOGY": str(topology)}
        subprocess.run([BIN / "crawl-topology", "apply"], env=environment, check=True, stdout=subprocess.DEVNULL)
        write_urls(folder / "urls.txt", URLS // 10 if quick else URLS, HOSTS)
        additions_s = [machine.additions_s()]
        runs = {"new": seed(folder / "urls.txt", environment)}
        additions_s.append(machine.additions_s())
        runs["all known"] = seed(folder / "urls.txt", environment)
    rows = [
        [f"{run['urls']:,} URLs, {what}", f"{run['urls_per_s']:,}", run["cpu_us_per_url"], run["peak_mib"]]
        for what, run in runs.items()
    ]
    rate = runs["new"]["urls_per_s"]
    verdict = "met" if isinstance(rate, int) and rate >= AIM_RATE else "**missed**"
    header = ["a file of", "URLs/s", "crawl-seed, µs of CPU per URL", "peak memory, MiB"]
    return (
        f"{table(header, rows)}\n\nTarget ≥ {AIM_RATE:,} URLs/s: {verdict},"
        f" when ten million additions in Python took {additions_s[0]:.2f} s before it and {additions_s[1]:.2f} s after."
    )
